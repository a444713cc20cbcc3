#include "proc/vma_list.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "dumpctl/status_macros.h"
#include "proc/vma_kind.h"

namespace dumpctl {

bool CanBorrow(const Vma* last_file_vma, const Mapping& mapping) {
  if (last_file_vma == nullptr || last_file_vma->fd() < 0) return false;
  const Mapping& last = last_file_vma->mapping;
  return mapping.file.valid() && mapping.file == last.file && mapping.deleted == last.deleted &&
         mapping.name == last.name;
}

absl::StatusOr<VmaList> VmaList::Build(std::vector<Mapping> mappings, MapFileOpener& opener,
                                       const Shared* shared) {
  const OpenCounts before = opener.counts();
  VmaList list;
  list.vmas_.reserve(mappings.size());
  for (Mapping& mapping : mappings) {
    RETURN_IF_ERROR(list.Append(std::move(mapping), opener, shared));
  }
  const OpenCounts& after = opener.counts();
  list.counts_.vmas = list.vmas_.size();
  list.counts_.calls = {after.opens - before.opens, after.stats - before.stats,
                        after.links - before.links};
  return list;
}

void VmaList::Classify(Vma& vma) {
  vma.kind = KindOf(vma.mapping, vma.facts.get());
  // VmFlags tell of every growing VMA; maps names the one that is nearly always the only one. Its
  // start needs no adjusting: since Linux 4.12 the guard gap lies outside of the VMA, and both
  // /proc and restore take the printed start.
  vma.grows_down = vma.mapping.flags.has_value() ? vma.mapping.Has(VmFlag::kGrowsDown)
                                                 : vma.kind == VmaKind::kStack;
}

absl::Status VmaList::Append(Mapping mapping, MapFileOpener& opener, const Shared* shared) {
  Vma vma;
  vma.mapping = std::move(mapping);
  if (vma.mapping.file.valid()) RETURN_IF_ERROR(AttachFile(vma, opener, shared));
  Classify(vma);
  const bool is_file = vma.mapping.file.valid();
  vmas_.push_back(std::move(vma));
  if (is_file) last_file_vma_ = vmas_.size();
  return absl::OkStatus();
}

absl::Status VmaList::AttachFile(Vma& vma, MapFileOpener& opener, const Shared* shared) {
  const Vma* last = last_file_vma_ == 0 ? nullptr : &vmas_[last_file_vma_ - 1];
  if (CanBorrow(last, vma.mapping)) {
    vma.file = BorrowedFd(last->fd());
    vma.facts = last->facts;
    ++counts_.borrowed_from_previous;
    return absl::OkStatus();
  }
  if (shared != nullptr) {
    if (std::optional<MappedFileCache::Loan> loan =
            shared->cache->Find(vma.mapping, shared->mount_namespace)) {
      vma.file = loan->fd;
      vma.facts = std::move(loan->facts);
      ++counts_.borrowed_from_cache;
      return absl::OkStatus();
    }
  }
  ASSIGN_OR_RETURN(OpenedMapFile opened, opener.Open(vma.mapping));
  vma.facts = std::make_shared<const FileFacts>(std::move(opened.facts));
  if (!opened.fd) return absl::OkStatus();
  ++counts_.opened;
  if (shared != nullptr) {
    shared->cache->Offer(vma.mapping, shared->mount_namespace, {BorrowedFd(opened.fd), vma.facts},
                         lender_);
  }
  vma.file = std::move(opened.fd);
  return absl::OkStatus();
}

absl::Status VmaList::LearnFlags(std::span<const MappingFlags> flags) {
  const auto same = [](const Vma& vma, const MappingFlags& mapping) {
    return vma.start() == mapping.start && vma.end() == mapping.end;
  };
  const auto [vma, mapping] =
      std::mismatch(vmas_.begin(), vmas_.end(), flags.begin(), flags.end(), same);
  if (vma != vmas_.end() || mapping != flags.end()) {
    const RemoteAddress at = vma != vmas_.end() ? vma->start() : mapping->start;
    return absl::DataLossError(
        absl::StrFormat("VmFlags and maps tell different mappings at %x", at.value()));
  }
  for (size_t i = 0; i < vmas_.size(); ++i) {
    vmas_[i].mapping.flags = flags[i].flags;
    Classify(vmas_[i]);
  }
  return absl::OkStatus();
}

void VmaList::LearnUntouched(const std::function<bool(size_t)>& untouched) {
  for (size_t i = 0; i < vmas_.size(); ++i) vmas_[i].untouched = untouched(i);
}

VmaList& VmaList::operator=(VmaList&& other) noexcept {
  if (this == &other) return *this;
  Close();
  vmas_ = std::move(other.vmas_);
  last_file_vma_ = other.last_file_vma_;
  counts_ = other.counts_;
  lender_ = std::move(other.lender_);
  return *this;
}

VmaList::CloseCounts VmaList::Close() {
  CloseCounts counts;
  // First, so that nobody borrows what is about to go.
  lender_.reset();
  for (Vma& vma : vmas_) {
    if (vma.owns_file()) ++counts.closed;
    if (vma.borrows_file()) ++counts.skipped;
    vma.file = std::monostate();
  }
  return counts;
}

const Vma* VmaList::Find(RemoteAddress address) const {
  const auto it = std::upper_bound(vmas_.begin(), vmas_.end(), address,
                                   [](RemoteAddress a, const Vma& vma) { return a < vma.end(); });
  return it != vmas_.end() && it->start() <= address ? &*it : nullptr;
}

const Vma* VmaList::FindKind(VmaKind kind) const {
  const auto it =
      std::find_if(vmas_.begin(), vmas_.end(), [kind](const Vma& vma) { return vma.kind == kind; });
  return it == vmas_.end() ? nullptr : &*it;
}

}  // namespace dumpctl
