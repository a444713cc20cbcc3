#include "dump/mm/page_scanner.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ostream>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dump/tracee/process_copy.h"
#include "dumpctl/kernel_abi.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/bpf_vm_flags.h"
#include "proc/pagemap.h"
#include "test/mm/mapped_child.h"
#include "test/mm/zero_page.h"

namespace dumpctl {

void PrintTo(const PageRun& run, std::ostream* out) {
  *out << std::hex << run.start.value() << std::dec << "+" << run.pages;
}

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Ways to look at page tables, as forced by features that are taken away.
constexpr const char* kWays[] = {"", "-pagemap_scan", "-pagemap_scan_guard",
                                 "-pagemap_scan_guard,-pagemap_guard",
                                 "-pagemap_scan,-pagemap_scan_guard,-pagemap_guard"};

ScannedPages Scan(const MappedChild& child, const char* forced_down = "") {
  const auto features = KernelFeatures::Probe(forced_down);
  EXPECT_TRUE(features.ok()) << features.status();
  auto scanned = ScanPages(child.Dir(), child.Vmas(), *features);
  EXPECT_TRUE(scanned.ok()) << scanned.status();
  return *std::move(scanned);
}

// The runs in `pages` pages from the child's base on, as (first page, count).
using Runs = std::vector<std::pair<uint64_t, uint64_t>>;
Runs RunsIn(const ScannedPages& scanned, const MappedChild& child, uint64_t pages) {
  Runs runs;
  for (const PageRun& run : scanned.runs) {
    const RemoteAddress start = std::max(run.start, child.base());
    const RemoteAddress end = std::min(run.end(), child.Page(pages));
    if (start < end) runs.emplace_back((start - child.base()) / kPage, (end - start) / kPage);
  }
  return runs;
}

Runs GuardsIn(const ScannedPages& scanned, const MappedChild& child) {
  Runs guards;
  for (const GuardRange& guard : scanned.guards.value_or(std::vector<GuardRange>())) {
    guards.emplace_back((guard.start - child.base()) / kPage, (guard.end - guard.start) / kPage);
  }
  return guards;
}

// The kernel's page of zeros, as a read fault brings it on most kernels.
bool PutZeroPages(char* at, size_t pages) {
  const int uffd = static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
  uffdio_api api = {.api = UFFD_API};
  const uffdio_range range = {reinterpret_cast<uint64_t>(at), pages * kPage};
  uffdio_register enrol = {.range = range, .mode = UFFDIO_REGISTER_MODE_MISSING};
  uffdio_zeropage zero = {.range = range};
  const bool put = ioctl(uffd, UFFDIO_API, &api) == 0 &&
                   ioctl(uffd, UFFDIO_REGISTER, &enrol) == 0 &&
                   ioctl(uffd, UFFDIO_ZEROPAGE, &zero) == 0;
  close(uffd);
  return put;
}

// A new file with `pages` filled pages, open and without a name; -1 if that failed.
int FileOf(const char* directory, size_t pages) {
  const int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  for (size_t i = 0; i < pages; ++i) {
    alignas(8) char page[kPage];
    FillPage(page, 1000 + i);
    if (write(fd, page, kPage) != kPage) return -1;
  }
  return fd;
}

// Without looking into what BPF says to be untouched nothing else is found.
TEST(PageScannerUntouchedTest, IsPassedOver) {
  if (!KernelFeatures::Probe()->Has(KernelFeature::kBpfTaskVma))
    GTEST_SKIP() << "this kernel or caller has no BPF iterators";
  constexpr size_t kMappings = 100;
  const int file = FileOf("/tmp", 1);
  ASSERT_GE(file, 0);
  const MappedChild child([file]() -> void* {
    // Each a mapping of its own, with one that is read-only behind it.
    char* const base = Map(2 * kMappings, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS);
    for (size_t i = 0; base != nullptr && i < kMappings; ++i) {
      const bool anonymous = i % 50 < 25;
      char* const at = base + 2 * i * kPage;
      if (mmap(at, kPage, PROT_READ | PROT_WRITE,
               MAP_FIXED | MAP_PRIVATE | (anonymous ? MAP_ANONYMOUS : 0), anonymous ? -1 : file,
               0) == MAP_FAILED) {
        return nullptr;
      }
      if (i == 3 || i == 5 || i == 24 || i == 25 || i == 49 || i == 65 || i == 99) *at = 'x';
      if (i % 7 == 1) (void)*static_cast<volatile char*>(at);
    }
    return base;
  });
  close(file);
  const auto features = KernelFeatures::Probe();
  VmaList vmas = child.Vmas();
  const auto all = ScanPages(child.Dir(), vmas, *features);
  const auto flags = BpfVmFlags::Load();
  ASSERT_TRUE(flags.ok()) << flags.status();
  const auto read = flags->Read(child.pid());
  ASSERT_EQ(read->sources.size(), vmas.size());
  vmas.LearnUntouched([&read](size_t i) { return read->sources[i].untouched; });
  const auto fewer = ScanPages(child.Dir(), vmas, *features);
  ASSERT_TRUE(all.ok() && fewer.ok());
  EXPECT_EQ(all->runs, fewer->runs);
  EXPECT_EQ(all->pages_scanned, fewer->pages_scanned);
  using ::testing::Pair;
  if (!HasZeroPage()) GTEST_SKIP() << "what is read has frames of its own here";
  EXPECT_THAT(RunsIn(*fewer, child, 2 * kMappings),
              ElementsAre(Pair(6, 1), Pair(10, 1), Pair(48, 1), Pair(50, 1), Pair(98, 1),
                          Pair(130, 1), Pair(198, 1)));
  EXPECT_GT(std::count_if(vmas.begin(), vmas.end(), [](const Vma& vma) { return vma.untouched; }),
            static_cast<ptrdiff_t>(kMappings - 10));
}

bool IsEndless([[maybe_unused]] std::string_view way) {
#if defined(__SANITIZE_ADDRESS__)
  return way.starts_with("-pagemap_scan") && !way.starts_with("-pagemap_scan_guard");
#else
  return false;
#endif
}

class PageScannerTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (IsEndless(GetParam())) {
      GTEST_SKIP() << "that way looks at all that is mapped, and the sanitizer maps terabytes";
    }
  }
};

TEST_P(PageScannerTest, TakesWhatWasWrittenAndNoZeroPages) {
  const MappedChild child([]() -> void* {
    char* const base = Map(64);
    if (base == nullptr || !PutZeroPages(base + 10 * kPage, 3)) return nullptr;
    for (const size_t page : {0, 1, 5, 11, 63}) base[page * kPage] = 'x';
    return base;
  });
  const ScannedPages scanned = Scan(child, GetParam());
  EXPECT_EQ(RunsIn(scanned, child, 64), (Runs{{0, 2}, {5, 1}, {11, 1}, {63, 1}}));
}

TEST_P(PageScannerTest, TakesOnlyCopiedPagesOfFiles) {
  const MappedChild child([]() -> void* {
    // One reservation, so that all three lie side by side.
    char* const base = Map(48, PROT_NONE);
    const int file = FileOf("/tmp", 16);
    const int memory_file = FileOf("/dev/shm", 16);
    constexpr int kBoth = PROT_READ | PROT_WRITE;
    if (mmap(base, 16 * kPage, kBoth, MAP_PRIVATE | MAP_FIXED, file, 0) == MAP_FAILED ||
        mmap(base + 16 * kPage, 16 * kPage, kBoth, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED ||
        mmap(base + 32 * kPage, 16 * kPage, kBoth, MAP_PRIVATE | MAP_FIXED, memory_file, 0) ==
            MAP_FAILED) {
      return nullptr;
    }
    // Zeros that hide the file's page are content.
    if (!PutZeroPages(base + 40 * kPage, 1)) return nullptr;
    volatile char sum = 0;
    for (size_t i = 0; i < 48; ++i) sum = static_cast<char>(sum + base[i * kPage]);
    base[2 * kPage] = base[3 * kPage] = 'x';
    base[20 * kPage] = 'x';
    base[35 * kPage] = 'x';
    return base;
  });
  EXPECT_EQ(RunsIn(Scan(child, GetParam()), child, 48), (Runs{{2, 2}, {35, 1}, {40, 1}}));
}

TEST_P(PageScannerTest, ProtectionAndAdviceDoNotMatter) {
  const MappedChild child([]() -> void* {
    char* const base = Map(32);
    for (size_t i = 0; i < 32; i += 2) base[i * kPage] = 'x';
    if (mprotect(base, 4 * kPage, PROT_NONE) != 0 ||
        mprotect(base + 4 * kPage, 4 * kPage, PROT_WRITE) != 0 ||
        madvise(base + 8 * kPage, 4 * kPage, MADV_DONTFORK) != 0 ||
        madvise(base + 12 * kPage, 4 * kPage, MADV_WIPEONFORK) != 0 ||
        madvise(base + 16 * kPage, 4 * kPage, MADV_DONTDUMP) != 0 ||
        syscall(SYS_mlock, base + 20 * kPage, 4 * kPage) != 0) {  // sanitizers make none of it
      return nullptr;
    }
    return base;
  });
  Runs want;
  // mlock(2) brings all of its pages in; page 24 was written.
  for (uint64_t i = 0; i < 20; i += 2) want.emplace_back(i, 1);
  want.emplace_back(20, 5);
  for (uint64_t i = 26; i < 32; i += 2) want.emplace_back(i, 1);
  EXPECT_EQ(RunsIn(Scan(child, GetParam()), child, 32), want);
}

TEST_P(PageScannerTest, RunsCoverHugePages) {
  constexpr size_t kHuge = 512;
  const MappedChild child([]() -> void* {
    char* base = Map(3 * kHuge);
    base += -reinterpret_cast<uintptr_t>(base) % (kHuge * kPage);
    if (madvise(base, 2 * kHuge * kPage, MADV_HUGEPAGE) != 0) return nullptr;
    for (size_t i = 0; i < 2 * kHuge; ++i) base[i * kPage] = 'x';
    return base;
  });
  EXPECT_EQ(RunsIn(Scan(child, GetParam()), child, 2 * kHuge), (Runs{{0, 2 * kHuge}}));
}

TEST_P(PageScannerTest, FindsThreePagesInATebibyte) {
  constexpr uint64_t kTebibyte = (uint64_t{1} << 40) / kPage;
  const MappedChild child([]() -> void* {
    char* const base =
        Map(kTebibyte, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
    madvise(base, kTebibyte * kPage, MADV_NOHUGEPAGE);
    base[0] = base[kTebibyte / 2 * kPage] = base[(kTebibyte - 1) * kPage] = 'x';
    return base;
  });
  const absl::Time start = absl::Now();
  const ScannedPages scanned = Scan(child, GetParam());
  const absl::Duration took = absl::Now() - start;
  EXPECT_EQ(RunsIn(scanned, child, kTebibyte),
            (Runs{{0, 1}, {kTebibyte / 2, 1}, {kTebibyte - 1, 1}}));
  EXPECT_GE(scanned.pages_scanned, kTebibyte);
  // 1 ms, smaps and all, when the page table is scanned; seconds when it is read.
  if (std::string_view(GetParam()).empty() &&
      KernelFeatures::Probe()->Has(KernelFeature::kPagemapScan)) {
    EXPECT_LT(took, absl::Milliseconds(500));
  }
}

TEST_P(PageScannerTest, TakesMoreRunsThanOneCallGives) {
  constexpr size_t kPages = 10000;
  const MappedChild child([]() -> void* {
    char* const base = Map(kPages);
    // No advice for huge pages: each page by itself.
    madvise(base, kPages * kPage, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < kPages; i += 2) base[i * kPage] = 'x';
    return base;
  });
  const Runs runs = RunsIn(Scan(child, GetParam()), child, kPages);
  ASSERT_THAT(runs, SizeIs(kPages / 2));
  for (size_t i = 0; i < runs.size(); ++i) EXPECT_EQ(runs[i], std::make_pair(2 * i, uint64_t{1}));
}

TEST_P(PageScannerTest, GuardsAreNoPages) {
  const auto features = KernelFeatures::Probe(GetParam());
  ASSERT_TRUE(features.ok());
  static bool guarded;  // the child's copy does not come back, so ask here too
  char* const probe = Map(1);
  guarded = madvise(probe, kPage, abi::kMadvGuardInstall) == 0;
  munmap(probe, kPage);
  const MappedChild child([]() -> void* {
    char* const base = Map(32);
    for (size_t i = 0; i < 24; ++i) base[i * kPage] = 'x';
    if (!guarded) return base;
    for (const size_t page : {4, 5, 7, 30}) {
      if (madvise(base + page * kPage, kPage, abi::kMadvGuardInstall) != 0) return nullptr;
    }
    // A shared file has its content elsewhere, but its guards nowhere else.
    const int file = FileOf("/tmp", 2);
    if (mmap(base + 26 * kPage, 2 * kPage, PROT_READ, MAP_SHARED | MAP_FIXED, file, 0) ==
            MAP_FAILED ||
        madvise(base + 27 * kPage, kPage, abi::kMadvGuardInstall) != 0) {
      return nullptr;
    }
    return base;
  });
  const ScannedPages scanned = Scan(child, GetParam());
  const bool known = features->Has(KernelFeature::kPagemapScanGuard) ||
                     features->Has(KernelFeature::kPagemapGuard);
  EXPECT_EQ(scanned.guards.has_value(), known);
  if (!guarded) {
    EXPECT_EQ(RunsIn(scanned, child, 32), (Runs{{0, 24}}));
    EXPECT_THAT(GuardsIn(scanned, child), IsEmpty());
    return;
  }
  if (!known) {
    // They pass for swapped pages, so that a drain meets what it cannot read, rather than get lost.
    EXPECT_EQ(RunsIn(scanned, child, 32), (Runs{{0, 24}, {30, 1}}));
    return;
  }
  EXPECT_EQ(RunsIn(scanned, child, 32), (Runs{{0, 4}, {6, 1}, {8, 16}}));
  EXPECT_EQ(GuardsIn(scanned, child), (Runs{{4, 2}, {7, 1}, {27, 1}, {30, 1}}));
}

TEST_P(PageScannerTest, TakesTheVdsoWholeAndNoTimePages) {
  const MappedChild child([]() -> void* { return Map(1); });
  const ScannedPages scanned = Scan(child, GetParam());
  const VmaList vmas = child.Vmas();
  const auto saved = [&scanned](const Vma& vma) {
    uint64_t pages = 0;
    for (const PageRun& run : scanned.runs) {
      const RemoteAddress start = std::max(run.start, vma.start());
      const RemoteAddress end = std::min(run.end(), vma.end());
      if (start < end) pages += (end - start) / kPage;
    }
    return pages;
  };
  const Vma* const vdso = vmas.FindKind(VmaKind::kVdso);
  ASSERT_NE(vdso, nullptr);
  EXPECT_EQ(saved(*vdso), vdso->size() / kPage);
  for (const VmaKind kind : {VmaKind::kVvar, VmaKind::kVvarClock, VmaKind::kVsyscall}) {
    const Vma* const vma = vmas.FindKind(kind);
    if (vma != nullptr) {
      EXPECT_EQ(saved(*vma), 0u) << vma->mapping.name;
    }
  }
  EXPECT_GT(saved(*vmas.FindKind(VmaKind::kStack)), 0u);
}

TEST_P(PageScannerTest, SaysWhenTheTaskIsGone) {
  MappedChild child([]() -> void* { return Map(1); });
  const ProcDir dir = child.Dir();
  const VmaList vmas = child.Vmas();
  child.Kill();
  EXPECT_EQ(ScanPages(dir, vmas, *KernelFeatures::Probe(GetParam())).status().code(),
            absl::StatusCode::kNotFound);
}

// Memory of all kinds, as far as this kernel has them. In a copy some of it is there no more, and
// some has become pages of its own.
void* MemoryOfAllKinds() {
  constexpr size_t kEach = 16;
  char* const base = Map(16 * kEach, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS);
  size_t next = 0;
  // Every other page of it is written to, or none.
  const auto add = [&](int flags, int fd, bool written = true) {
    char* const at = base + next++ * kEach * kPage;
    mmap(at, kEach * kPage, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0);
    volatile char sum = 0;
    for (size_t i = 0; i < kEach; ++i) sum = static_cast<char>(sum + at[i * kPage]);
    for (size_t i = 0; written && i < kEach; i += 2) at[i * kPage] = 'x';
    return at;
  };
  constexpr int kAnonymous = MAP_PRIVATE | MAP_ANONYMOUS;
  const int file = FileOf("/tmp", kEach);
  const int memory_file = FileOf("/dev/shm", kEach);
  if (base == nullptr || file < 0 || memory_file < 0) return nullptr;
  add(kAnonymous, -1);
  madvise(add(kAnonymous, -1), kEach * kPage, MADV_DONTFORK);
  add(kAnonymous, -1, false);
  madvise(add(kAnonymous, -1), kEach * kPage, MADV_WIPEONFORK);
  madvise(add(kAnonymous, -1), kEach / 2 * kPage, MADV_DONTNEED);
  madvise(add(kAnonymous, -1), kEach * kPage, MADV_FREE);
  madvise(add(kAnonymous, -1), kEach * kPage, MADV_PAGEOUT);
  mprotect(add(kAnonymous, -1), kEach * kPage, PROT_NONE);
  syscall(SYS_mlock, add(kAnonymous, -1), kEach / 2 * kPage);
  add(MAP_PRIVATE, file);
  add(MAP_PRIVATE, file, false);
  // Nothing is written to it, but that the kernel's page of zeros hides its own.
  char* const over_memory = base + next++ * kEach * kPage;
  mmap(over_memory, kEach * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, memory_file, 0);
  PutZeroPages(over_memory + 3 * kPage, 2);
  add(MAP_SHARED, file);
  // What was moved takes its pages along.
  char* const old = add(kAnonymous, -1);
  mremap(old, kEach * kPage, kEach * kPage, MREMAP_MAYMOVE | MREMAP_FIXED,
         base + next++ * kEach * kPage);
  // Guards where there are pages, and where there never were any.
  for (const size_t place : {4, 10, 12, 15}) {
    madvise(base + (place * kEach + 5) * kPage, kPage, abi::kMadvGuardInstall);
  }
  constexpr int kDroppable = 0x08;  // Linux 6.11
  char* const droppable = Map(2, PROT_READ | PROT_WRITE, kDroppable | MAP_ANONYMOUS);
  if (droppable != nullptr) *droppable = 'x';
  constexpr size_t kHuge = 512 * kPage;
  char* huge = Map(2 * 512);
  huge += -reinterpret_cast<uintptr_t>(huge) % kHuge;
  madvise(huge, kHuge, MADV_HUGEPAGE);
  *huge = 'x';
  return base;
}

TEST_P(PageScannerTest, ACopyAndWhatItLacksAreTheTask) {
  const auto features = KernelFeatures::Probe(GetParam());
  const MappedChild child(MemoryOfAllKinds);
  const VmaList vmas = child.Vmas();
  auto task = FrozenTask::Freeze(child.pid(), absl::Now() + absl::Seconds(5));
  ASSERT_TRUE(task.ok()) << task.status();
  const auto all = ScanPages(child.Dir(), vmas, *features);
  const auto lacking = ScanPages(child.Dir(), vmas, *features, ScanOf::kNotCopied);
  const auto copy = ProcessCopy::Make(*task);
  ASSERT_TRUE(copy.ok()) << copy.status();
  ASSERT_TRUE(task->Resume().ok());
  // It runs on: what it had is given up, and what was empty is written to.
  const auto memory = child.Dir().Open("mem", O_RDWR);
  for (uint64_t page = 0; page < 16; ++page) {
    ASSERT_EQ(pwrite(memory->get(), "y", 1, static_cast<off_t>(child.Page(page).value())), 1);
  }
  const auto rest = ScanPages(copy->dir(), vmas, *features, ScanOf::kCopy);
  ASSERT_TRUE(all.ok() && lacking.ok() && rest.ok());
  // Every other page of two times 16; where what is read has frames of its own, all of them.
  EXPECT_THAT(RunsIn(*lacking, child, 256), SizeIs(HasZeroPage() ? 16 : 2));
  const ScannedPages joined = Joined(*lacking, *rest);
  EXPECT_EQ(joined.runs, all->runs);
  EXPECT_EQ(joined.pages, all->pages);
  EXPECT_EQ(joined.pages_scanned, all->pages_scanned);
  EXPECT_EQ(joined.guards, all->guards);
}

TEST(PageScannerCopyTest, WantsVmFlags) {
  const MappedChild child([]() -> void* { return Map(1); });
  const ProcDir dir = child.Dir();
  ProcMapFileOpener opener(dir, *KernelTmpfsDevice());
  const auto vmas = VmaList::Build(*ParseMaps(*dir.Read("maps")), opener);
  const auto features = KernelFeatures::Probe();
  EXPECT_TRUE(ScanPages(dir, *vmas, *features).ok());
  EXPECT_EQ(ScanPages(dir, *vmas, *features, ScanOf::kCopy).status().code(),
            absl::StatusCode::kInternal);
}

INSTANTIATE_TEST_SUITE_P(Ways, PageScannerTest, ::testing::ValuesIn(kWays));

// Everything a program has, pages of zeros among it, seen alike in all ways.
TEST(PageScannerWaysTest, AgreePageByPage) {
  const MappedChild child([]() -> void* {
    char* const base = Map(4096);
    const int file = FileOf("/tmp", 64);
    char* const over_file = Map(64, PROT_READ | PROT_WRITE, MAP_PRIVATE, file);
    if (base == nullptr || over_file == nullptr || !PutZeroPages(base, 4096)) return nullptr;
    uint32_t random = 1;
    for (size_t i = 0; i < 4096; ++i) {
      random = random * 1664525 + 1013904223;
      if (random >> 30 == 0) base[i * kPage] = 'x';
      if (i < 64 && random >> 31 == 0) over_file[i * kPage] = 'x';
      if (random >> 24 == 7) madvise(base + i * kPage, kPage, MADV_DONTNEED);
    }
    return base;
  });
  const ScannedPages scanned = Scan(child);
  EXPECT_GT(scanned.runs.size(), 500u);
  uint64_t pages = 0;
  for (size_t i = 0; i < scanned.runs.size(); ++i) {
    pages += scanned.runs[i].pages;
    if (i > 0) {
      EXPECT_LT(scanned.runs[i - 1].end(), scanned.runs[i].start);
    }
  }
  EXPECT_EQ(pages, scanned.pages);
  for (const char* way : kWays) {
    if (IsEndless(way)) continue;
    const ScannedPages other = Scan(child, way);
    EXPECT_EQ(other.runs, scanned.runs) << way;
    EXPECT_EQ(other.pages_scanned, scanned.pages_scanned) << way;
  }
}

}  // namespace
}  // namespace dumpctl
