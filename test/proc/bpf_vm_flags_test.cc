#include "proc/bpf_vm_flags.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "dumpctl/kernel_abi.h"
#include "gtest/gtest.h"
#include "proc/kept_layout.h"
#include "proc/kernel_features.h"
#include "proc/smaps_parser.h"
#include "proc/vm_flag_table.h"
#include "test/mm/mapped_child.h"
#include "test/mm/zero_page.h"
#include "test/temporary_directory.h"

namespace dumpctl {
namespace {

bool HasBpf() { return KernelFeatures::Probe()->Has(KernelFeature::kBpfTaskVma); }

void ExpectSame(const std::vector<MappingFlags>& by_bpf, const std::vector<Mapping>& by_smaps) {
  ASSERT_EQ(by_bpf.size(), by_smaps.size());
  for (size_t i = 0; i < by_bpf.size(); ++i) {
    const Mapping& smaps = by_smaps[i];
    EXPECT_EQ(by_bpf[i].start, smaps.start);
    EXPECT_EQ(by_bpf[i].end, smaps.end);
    EXPECT_EQ(by_bpf[i].flags, smaps.flags)
        << smaps.name << " at 0x" << std::hex << smaps.start.value();
  }
}

// A page in every state that memory can be put into and that a dump does not refuse.
void* LayOutEveryFlag() {
  constexpr int kAdvice[] = {MADV_SEQUENTIAL, MADV_RANDOM,     MADV_DONTFORK,
                             MADV_DONTDUMP,   MADV_WIPEONFORK, MADV_MERGEABLE,
                             MADV_HUGEPAGE,   MADV_NOHUGEPAGE, abi::kMadvGuardInstall};
  constexpr int kFlags[] = {MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, MAP_SHARED | MAP_ANONYMOUS,
                            abi::kMapDroppable | MAP_ANONYMOUS};
  char* const base = Map(1);
  for (const int advice : kAdvice) {
    // Two together, so that they differ from whatever they were learnt from.
    char* const at = Map(1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
    if (at != nullptr) madvise(at, kPage, advice);
  }
  // Droppable memory is new in Linux 6.11: what fails here is not there to be told of.
  for (const int flags : kFlags) Map(1, PROT_READ | PROT_WRITE, flags);
  for (const unsigned on_fault : {0u, unsigned{MLOCK_ONFAULT}}) {
    char* const at = Map(2, PROT_READ);
    if (at != nullptr) mlock2(at, kPage, on_fault);
  }
  const int file = open("/proc/self/exe", O_RDONLY);
  Map(1, PROT_READ, MAP_SHARED, file);
  Map(1, PROT_READ | PROT_EXEC, MAP_PRIVATE, file);
  Map(1, PROT_NONE, MAP_PRIVATE, file);
  return base;
}

TEST(BpfVmFlagsTest, TellsWhatSmapsTells) {
  if (!HasBpf()) GTEST_SKIP() << "this kernel or caller has no BPF iterators";
  const MappedChild child(LayOutEveryFlag);
  const auto flags = BpfVmFlags::Load();
  ASSERT_TRUE(flags.ok()) << flags.status();
  const auto by_bpf = flags->Read(child.pid());
  ASSERT_TRUE(by_bpf.ok()) << by_bpf.status();
  const auto by_smaps = ParseSmaps(*child.Dir().Read("smaps"));
  ASSERT_TRUE(by_smaps.ok()) << by_smaps.status();
  ExpectSame(by_bpf->flags, *by_smaps);
}

TEST(BpfVmFlagsTest, LearnsOnceWhatTheBitsMean) {
  if (!HasBpf()) GTEST_SKIP() << "this kernel or caller has no BPF iterators";
  const TemporaryDirectory place;
  const LayoutStore store(place.path() + "/kept");
  const MappedChild child(LayOutEveryFlag);
  const auto by_smaps = ParseSmaps(*child.Dir().Read("smaps"));
  ASSERT_TRUE(by_smaps.ok()) << by_smaps.status();
  for (const bool kept : {false, true}) {
    if (store.FindValue<VmFlagTable::Plain>("vm_flags").has_value() != kept) {
      GTEST_SKIP() << "this caller cannot put memory into every state";
    }
    const auto flags = BpfVmFlags::Load(store);
    ASSERT_TRUE(flags.ok()) << flags.status();
    const auto by_bpf = flags->Read(child.pid());
    ASSERT_TRUE(by_bpf.ok()) << by_bpf.status();
    ExpectSame(by_bpf->flags, *by_smaps);
  }
  // What is kept is what is used.
  store.KeepValue("vm_flags", VmFlagTable::Plain());
  const auto flags = BpfVmFlags::Load(store);
  ASSERT_TRUE(flags.ok()) << flags.status();
  EXPECT_TRUE(absl::IsNotFound(flags->Read(child.pid()).status()));
}

TEST(BpfVmFlagsTest, TellsOfManyMappingsAsTheyAreWhenRead) {
  if (!HasBpf()) GTEST_SKIP() << "this kernel or caller has no BPF iterators";
  constexpr size_t kPages = 20'000;
  const MappedChild child([]() -> void* {
    char* const base = Map(kPages);
    for (size_t i = 0; base != nullptr && i < kPages; i += 2) {
      mprotect(base + i * kPage, kPage, PROT_READ);
    }
    return base;
  });
  const auto flags = BpfVmFlags::Load();
  ASSERT_TRUE(flags.ok()) << flags.status();
  const auto by_bpf = flags->Read(child.pid());
  ASSERT_TRUE(by_bpf.ok()) << by_bpf.status();
  EXPECT_GT(by_bpf->flags.size(), kPages);
  ExpectSame(by_bpf->flags, *ParseSmaps(*child.Dir().Read("smaps")));
}

// Pages in every state that tells whether memory holds something of its own.
constexpr size_t kTouches = 8;
void* LayOutTouches() {
  const int file = open("/proc/self/exe", O_RDONLY);
  // Each a mapping of its own: there is nothing between them.
  char* const base = Map(2 * kTouches, PROT_NONE);
  char* pages[kTouches];
  for (size_t i = 0; base != nullptr && i < kTouches; ++i) {
    const int flags = MAP_FIXED | MAP_PRIVATE | (i % 2 == 0 ? MAP_ANONYMOUS : 0);
    pages[i] = base + 2 * i * kPage;
    if (mmap(pages[i], kPage, PROT_READ | PROT_WRITE, flags, i % 2 == 0 ? -1 : file, 0) ==
        MAP_FAILED) {
      return nullptr;
    }
  }
  if (base == nullptr) return nullptr;
  // Of the page of zeros, and of the file's.
  const auto read = [](const char* page) { (void)*static_cast<const volatile char*>(page); };
  read(pages[0]);
  read(pages[1]);
  *pages[3] = 1;
  *pages[4] = 1;
  // What went is not worth telling.
  *pages[5] = 1;
  madvise(pages[5], kPage, MADV_DONTNEED);
  *pages[6] = 1;
  if (madvise(pages[7], kPage, abi::kMadvGuardInstall) != 0) *pages[7] = 1;
  return base;
}

TEST(BpfVmFlagsTest, TellsWhatHoldsNoPagesOfItsOwn) {
  if (!HasBpf()) GTEST_SKIP() << "this kernel or caller has no BPF iterators";
  const MappedChild child(LayOutTouches);
  const auto flags = BpfVmFlags::Load();
  ASSERT_TRUE(flags.ok()) << flags.status();
  const auto read = flags->Read(child.pid());
  ASSERT_TRUE(read.ok()) << read.status();
  const bool is_untouched[kTouches] = {HasZeroPage(), true, true};
  size_t seen = 0;
  for (size_t i = 0; i < read->flags.size(); ++i) {
    for (size_t page = 0; page < kTouches; ++page) {
      if (read->flags[i].start != child.Page(2 * page)) continue;
      EXPECT_EQ(read->sources[i].untouched, is_untouched[page]) << page;
      ++seen;
    }
  }
  EXPECT_EQ(seen, kTouches);
}

// Sealing is for good, so it is no sample of ours; smaps has to be asked.
TEST(BpfVmFlagsTest, DoesNotGuessAtFlagsItHasNoSampleOf) {
  if (!HasBpf()) GTEST_SKIP() << "this kernel or caller has no BPF iterators";
  static bool sealed = false;
  const MappedChild child([]() -> void* {
    char* const base = Map(1);
    if (base == nullptr || syscall(abi::kSysMseal, base, kPage, 0) != 0) return Map(2);
    return base;
  });
  const auto by_smaps = ParseSmaps(*child.Dir().Read("smaps"));
  for (const Mapping& mapping : *by_smaps) {
    if (mapping.start == child.base()) sealed = mapping.Has(VmFlag::kSealed);
  }
  if (!sealed) GTEST_SKIP() << "this kernel has no mseal(2)";
  const auto flags = BpfVmFlags::Load();
  ASSERT_TRUE(flags.ok()) << flags.status();
  const auto by_bpf = flags->Read(child.pid());
  // Unless the kernel seals its own mappings, so that there is a sample.
  if (by_bpf.ok()) {
    ExpectSame(by_bpf->flags, *by_smaps);
  } else {
    EXPECT_EQ(by_bpf.status().code(), absl::StatusCode::kNotFound) << by_bpf.status();
  }
}

TEST(BpfVmFlagsTest, TellsNothingOfATaskThatIsGone) {
  if (!HasBpf()) GTEST_SKIP() << "this kernel or caller has no BPF iterators";
  for (const bool attach : {false, true}) {
    MappedChild child([]() -> void* { return Map(1); });
    const pid_t pid = child.pid();
    auto flags = BpfVmFlags::Load();
    ASSERT_TRUE(flags.ok()) << flags.status();
    if (attach) {
      ASSERT_TRUE(flags->Attach(pid).ok());
    }
    child.Kill();
    const auto by_bpf = flags->Read(pid);
    if (!by_bpf.ok()) continue;
    // Nothing but what is every task's: no mapping of another one.
    for (const MappingFlags& mapping : by_bpf->flags)
      EXPECT_GE(mapping.start.value(), uint64_t{1} << 63);
  }
}

}  // namespace
}  // namespace dumpctl
