#include "dump/session/heap.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace dumpctl {
namespace {

constexpr size_t kBytes = 4 << 20;

long Faults() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

// How many pages came by a fault while blocks of so many bytes were taken and written.
long FaultsOfBlocks(size_t count, size_t bytes) {
  std::vector<std::unique_ptr<char[]>> blocks(count);
  const long before = Faults();
  for (auto& block : blocks) {
    block = std::make_unique_for_overwrite<char[]>(bytes);
    memset(block.get(), 1, bytes);
  }
  return Faults() - before;
}

bool CanPopulate() {
  void* const page = mmap(nullptr, static_cast<size_t>(sysconf(_SC_PAGESIZE)),
                          PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return madvise(page, 1, MADV_POPULATE_WRITE) == 0;
}

class HeapTest : public testing::Test {
 protected:
  void SetUp() override {
#if defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "the sanitizer has a heap of its own";
#endif
    if (!CanPopulate()) GTEST_SKIP() << "before Linux 5.14";
  }
};

// What of the mapping that has the address are huge pages.
size_t HugeBytes(const void* address) {
  std::ifstream smaps("/proc/self/smaps");
  bool is_it = false;
  for (std::string line; std::getline(smaps, line);) {
    uintptr_t start = 0;
    uintptr_t end = 0;
    size_t kib = 0;
    if (sscanf(line.c_str(), "%zx-%zx ", &start, &end) == 2) {
      const auto at = reinterpret_cast<uintptr_t>(address);
      is_it = start <= at && at < end;
    } else if (is_it && sscanf(line.c_str(), "AnonHugePages: %zu kB", &kib) == 1) {
      return kib << 10;
    }
  }
  return 0;
}

// Whatever glibc writes between blocks, and wherever its heap ends by then. The first test, for
// those below leave a reserve.
TEST_F(HeapTest, HugePagesComeWhole) {
  constexpr size_t kHuge = 2 << 20;
  constexpr size_t kWanted = 3 * kHuge;
  const auto comes_whole = [](void* block) {
    const uint64_t whole = (reinterpret_cast<uint64_t>(block) + kHuge - 1) / kHuge * kHuge;
    madvise(reinterpret_cast<void*>(whole), kWanted, MADV_HUGEPAGE);
    memset(reinterpret_cast<void*>(whole), 1, kWanted);
    const bool all = HugeBytes(reinterpret_cast<void*>(whole)) >= kWanted;
    munmap(block, kWanted + kHuge);
    return all;
  };
  void* const other =
      mmap(nullptr, kWanted + kHuge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (!comes_whole(other)) GTEST_SKIP() << "no huge pages here";
  ReserveHeap(kWanted);
  const auto block = std::make_unique_for_overwrite<char[]>(kHuge);
  EXPECT_GE(HugeBytes(block.get()), kWanted);
}

TEST_F(HeapTest, WhatIsReservedComesWithoutFaults) {
  const auto pages = static_cast<long>(kBytes / static_cast<size_t>(sysconf(_SC_PAGESIZE)));
  ReserveHeap(kBytes);
  // Small blocks and one that would else be a mapping of its own, of this thread and of another.
  EXPECT_LT(FaultsOfBlocks(1000, 1000), pages / 16);
  EXPECT_LT(FaultsOfBlocks(1, 1 << 20), pages / 16);
  long of_thread = 0;
  std::thread([&of_thread] { of_thread = FaultsOfBlocks(1, 1 << 20); }).join();
  EXPECT_LT(of_thread, pages / 16);
}

// Of blocks that are mappings of their own nothing would be left.
TEST_F(HeapTest, MuchIsReservedAsWell) {
  constexpr size_t kMuch = 40 << 20;
  const auto pages = static_cast<long>(kMuch / static_cast<size_t>(sysconf(_SC_PAGESIZE)));
  ReserveHeap(kMuch);
  EXPECT_LT(FaultsOfBlocks(36, 1 << 20), pages / 16);
}

// As for many long texts of mappings, one after the other.
TEST_F(HeapTest, WhatIsReservedIsNotReservedTwice) {
  ReserveHeap(kBytes);
  void* const end = sbrk(0);
  for (int i = 0; i < 20; ++i) ReserveHeap(kBytes);
  EXPECT_EQ(sbrk(0), end);
}

// More than glibc gives blocks of in its heap, and more than there is by then.
TEST_F(HeapTest, MoreIsReservedBehindMuch) {
  constexpr size_t kMuch = 40 << 20;
  constexpr size_t kMore = 80 << 20;
  const auto pages = static_cast<long>(kMore / static_cast<size_t>(sysconf(_SC_PAGESIZE)));
  // What is free between others is no reason to take none.
  std::vector<std::unique_ptr<char[]>> blocks;
  for (int i = 0; i < 8; ++i) blocks.push_back(std::make_unique_for_overwrite<char[]>(1 << 20));
  for (size_t i = 0; i < blocks.size(); i += 2) blocks[i].reset();
  ReserveHeap(kMuch);
  ReserveHeap(kMore);
  EXPECT_LT(FaultsOfBlocks(76, 1 << 20), pages / 16);
}

}  // namespace
}  // namespace dumpctl
