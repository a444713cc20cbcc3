#ifndef DUMP_MM_CHANGED_PAGES_H_
#define DUMP_MM_CHANGED_PAGES_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "dump/mm/page_split.h"
#include "proc/zero_page.h"

namespace dumpctl {

// A page, by its address in pages, and the frame that it is in.
struct PageSample {
  uint64_t page = 0;
  uint64_t frame = 0;
  friend bool operator==(const PageSample&, const PageSample&) = default;
};

// Tells from the entries of /proc/PID/pagemap which pages may have changed since their soft-dirty
// bits were cleared last (soft-dirty.rst in the kernel's admin guide). The bit alone does not tell:
// - A page of zeros that is mapped where memory was given back and then read has none.
// - Nor have pages that mremap(2) has moved by whole page tables, 2 MiB of addresses at once: they
//   take their bits along to where others were (Linux 6.1 and 6.12).
// So of each 2 MiB a few frames are remembered that are nowhere else in the process. One of them
// that is where it was, and not written to, is a table that is where it was. Where none is, all is
// changed.
class ChangedPages {
 public:
  static constexpr uint64_t kTable = 512;  // pages that one page table maps

  // `samples`: of the time when the bits were cleared, ascending. With none of a table all in it is
  // changed. Both outlive this. `takes_samples`: whether samples() are wanted.
  ChangedPages(std::span<const PageSample> samples, const ZeroFrames& zeros, bool takes_samples)
      : known_(samples), zeros_(zeros), takes_samples_(takes_samples) {}

  // The entries of pages from `first` on, of one table. To be called with ascending ones.
  // `is_forked`: whether a frame that others have as well they have by fork(2) alone, so that it is
  // at one place of each process.
  void Add(uint64_t first, std::span<const uint64_t> entries,
           absl::FunctionRef<bool(uint64_t frame)> is_forked);

  // All of them, ascending, and frames to remember if the bits are cleared now.
  std::vector<AddressRange>& changed() { return changed_; }
  std::vector<PageSample>& samples() { return samples_; }

 private:
  bool IsInPlace(uint64_t first, std::span<const uint64_t> entries);
  void TakeSamples(uint64_t first, std::span<const uint64_t> entries,
                   absl::FunctionRef<bool(uint64_t frame)> is_forked);
  void AddChanged(uint64_t first, uint64_t end);

  std::span<const PageSample> known_;
  const ZeroFrames& zeros_;
  bool takes_samples_;
  std::vector<AddressRange> changed_;
  std::vector<PageSample> samples_;
};

// What is in one or the other. Ascending, as both are.
std::vector<AddressRange> UnionOf(std::span<const AddressRange> one,
                                  std::span<const AddressRange> other);

}  // namespace dumpctl

#endif  // DUMP_MM_CHANGED_PAGES_H_
