#ifndef TEST_MM_ZERO_PAGE_H_
#define TEST_MM_ZERO_PAGE_H_

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "dumpctl/kernel_abi.h"
#include "dumpctl/unique_fd.h"
#include "gtest/gtest.h"

namespace dumpctl {

// Of this process; 0 where frames are not shown.
inline uint64_t FrameOf(const void* page) {
  constexpr uint64_t kPageSize = 4096;
  const UniqueFd pagemap(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  uint64_t entry = 0;
  const auto at = static_cast<off_t>(reinterpret_cast<uint64_t>(page) / kPageSize * sizeof entry);
  EXPECT_EQ(pread(pagemap.get(), &entry, sizeof entry, at), ssize_t{sizeof entry});
  return entry & abi::kPagemapFrame;
}

// Whether all anonymous memory that is only read has one page of zeros in common, which is
// nobody's. Kernel trap: a kernel may be without it (mm_forbids_zeropage(), or a hypervisor's own),
// and give each of these pages a frame. So it is taken to have one where frames are not shown.
inline bool HasZeroPage() {
  constexpr size_t kSize = 2 * 4096;
  void* const pages = mmap(nullptr, kSize, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  EXPECT_NE(pages, MAP_FAILED);
  const auto* const first = static_cast<const volatile char*>(pages);
  const auto* const second = first + kSize / 2;
  (void)*first;
  (void)*second;
  const bool one =
      FrameOf(const_cast<const char*>(first)) == FrameOf(const_cast<const char*>(second));
  munmap(pages, kSize);
  return one;
}

}  // namespace dumpctl

#endif  // TEST_MM_ZERO_PAGE_H_
