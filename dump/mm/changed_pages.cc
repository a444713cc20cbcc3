#include "dump/mm/changed_pages.h"

#include <algorithm>

#include "dump/image/joined_ranges.h"
#include "dump/image/page_run.h"
#include "dumpctl/kernel_abi.h"

namespace dumpctl {
namespace {

// One of each, so that a table whose first pages are written to is known by others.
constexpr uint64_t kSampledPages = ChangedPages::kTable / 4;

bool IsWritten(uint64_t entry) { return (entry & abi::kPagemapSoftDirty) != 0; }

// Anonymous and mapped here alone, or where others have it from a fork(2): no file's page, none
// that the kernel has merged with others, and none of zeros, which may be in many places.
bool IsOfThisPlace(uint64_t entry, const ZeroFrames& zeros,
                   absl::FunctionRef<bool(uint64_t frame)> is_forked) {
  const uint64_t frame = entry & abi::kPagemapFrame;
  if ((entry & abi::kPagemapPresent) == 0 || (entry & abi::kPagemapFile) != 0 || frame == 0) {
    return false;
  }
  if ((entry & abi::kPagemapExclusive) != 0) return true;
  // What is known is not asked for: there may be a system call in it, for each of many pages.
  return !IsZeroPage(entry, zeros) && is_forked(frame);
}

// The mark of another one's write protection may stand where a page was given back.
bool HasContent(uint64_t entry) {
  if ((entry & abi::kPagemapPresent) != 0) return true;
  return (entry & abi::kPagemapSwapped) != 0 && (entry & abi::kPagemapUffdWp) == 0;
}

}  // namespace

bool ChangedPages::IsInPlace(uint64_t first, std::span<const uint64_t> entries) {
  const uint64_t end = first + entries.size();
  while (!known_.empty() && known_.front().page < first) known_ = known_.subspan(1);
  bool found = false;
  for (; !known_.empty() && known_.front().page < end; known_ = known_.subspan(1)) {
    const PageSample& sample = known_.front();
    const uint64_t entry = entries[sample.page - first];
    found = found || ((entry & abi::kPagemapPresent) != 0 && !IsWritten(entry) &&
                      (entry & abi::kPagemapFrame) == sample.frame);
  }
  return found;
}

void ChangedPages::TakeSamples(uint64_t first, std::span<const uint64_t> entries,
                               absl::FunctionRef<bool(uint64_t frame)> is_forked) {
  uint64_t next = 0;
  for (uint64_t i = 0; i < entries.size(); ++i) {
    if (first + i < next || !IsOfThisPlace(entries[i], zeros_, is_forked)) continue;
    samples_.push_back({first + i, entries[i] & abi::kPagemapFrame});
    next = (first + i) / kSampledPages * kSampledPages + kSampledPages;
  }
}

void ChangedPages::AddChanged(uint64_t first, uint64_t end) {
  const RemoteAddress from(first * kImagePageSize);
  const RemoteAddress to(end * kImagePageSize);
  JoinRange(AddressRange{from, to}, changed_);
}

void ChangedPages::Add(uint64_t first, std::span<const uint64_t> entries,
                       absl::FunctionRef<bool(uint64_t frame)> is_forked) {
  if (takes_samples_) TakeSamples(first, entries, is_forked);
  if (!IsInPlace(first, entries)) {
    AddChanged(first, first + entries.size());
    return;
  }
  for (uint64_t i = 0; i < entries.size(); ++i) {
    const uint64_t entry = entries[i];
    if (IsWritten(entry) || !HasContent(entry) || MayBeZeroPage(entry, zeros_)) {
      AddChanged(first + i, first + i + 1);
    }
  }
}

std::vector<AddressRange> UnionOf(std::span<const AddressRange> one,
                                  std::span<const AddressRange> other) {
  std::vector<AddressRange> all(one.size() + other.size());
  std::merge(one.begin(), one.end(), other.begin(), other.end(), all.begin(),
             [](const AddressRange& a, const AddressRange& b) { return a.start < b.start; });
  std::vector<AddressRange> joined;
  for (const AddressRange& range : all) JoinRange(range, joined);
  return joined;
}

}  // namespace dumpctl
