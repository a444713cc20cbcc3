#include "dump/mm/vma_collector.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/smaps_parser.h"

namespace dumpctl {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::span<const GuardRange> kNoGuards;

// Files as their names say.
class FakeOpener : public MapFileOpener {
 public:
  absl::StatusOr<OpenedMapFile> Open(const Mapping& mapping) override {
    OpenedMapFile opened;
    FileFacts& facts = opened.facts;
    facts.stat.st_mode = S_IFREG | 0644;
    facts.path = mapping.name;
    facts.deleted = mapping.deleted;
    facts.shmem = mapping.file.dev == makedev(0, 1);
    facts.memfd = facts.shmem && mapping.name.starts_with("/memfd:");
    facts.sysv = facts.shmem && mapping.name.starts_with("/SYSV");
    if (mapping.name.starts_with("/dev/dri")) facts.stat.st_mode = S_IFCHR | 0600;
    return opened;
  }
};

VmaList ListOf(const std::string& smaps) {
  FakeOpener opener;
  auto mappings = ParseSmaps(smaps);
  EXPECT_TRUE(mappings.ok()) << mappings.status();
  auto list = VmaList::Build(*std::move(mappings), opener);
  EXPECT_TRUE(list.ok()) << list.status();
  return *std::move(list);
}

absl::StatusOr<uint32_t> InodeAsId(const Vma& vma) {
  return static_cast<uint32_t>(vma.mapping.file.ino);
}

absl::StatusOr<CollectedVmas> Collect(
    const std::string& smaps, std::optional<std::span<const GuardRange>> guards = kNoGuards) {
  return CollectVmas(42, ListOf(smaps), guards, InodeAsId);
}

struct EntryCase {
  const char* line;
  const char* vm_flags;
  // As stock CRIU 4.1.1 wrote them for the same mapping, where nothing else is said.
  uint64_t pgoff;
  uint64_t shmid;
  uint32_t prot;
  uint32_t flags;
  uint32_t status;
  uint64_t madv;     // 0: absent
  int fdflags = -1;  // -1: absent
};
void PrintTo(const EntryCase& c, std::ostream* out) { *out << c.line << " " << c.vm_flags; }

class VmaEntryTest : public ::testing::TestWithParam<EntryCase> {};

TEST_P(VmaEntryTest, IsAsRestoreExpects) {
  const EntryCase& want = GetParam();
  const auto collected = Collect(std::string(want.line) + "\nVmFlags: " + want.vm_flags + " \n");
  ASSERT_TRUE(collected.ok()) << collected.status();
  EXPECT_THAT(collected->refusals, IsEmpty());
  ASSERT_THAT(collected->entries, SizeIs(1));
  const image::vma_entry& entry = collected->entries[0];
  EXPECT_EQ(entry.start(), ParseMapsLine(want.line)->start.value());
  EXPECT_EQ(entry.end(), ParseMapsLine(want.line)->end.value());
  EXPECT_EQ(entry.pgoff(), want.pgoff);
  EXPECT_EQ(entry.shmid(), want.shmid);
  EXPECT_EQ(entry.prot(), want.prot);
  EXPECT_EQ(entry.flags(), want.flags);
  EXPECT_EQ(entry.status(), want.status);
  EXPECT_EQ(entry.fd(), -1);
  EXPECT_EQ(entry.has_madv(), want.madv != 0);
  EXPECT_EQ(entry.madv(), want.madv);
  EXPECT_EQ(entry.has_fdflags(), want.fdflags >= 0);
  EXPECT_EQ(entry.fdflags(), static_cast<uint32_t>(std::max(want.fdflags, 0)));
}

constexpr EntryCase kEntries[] = {
    {"1000-2000 r-xp 00001000 fe:00 9     /bin/t", "rd ex mr mw me", 4096, 9, 5, 2, 65, 0, 0},
    {"1000-2000 rw-p 00003000 fe:00 9     /bin/t", "rd wr mr mw me ac", 12288, 9, 3, 2, 65, 0, 0},
    {"1000-2000 rw-s 00002000 fe:00 9     /f", "rd wr sh mr mw me ms", 8192, 9, 3, 1, 129, 0, 2},
    // Opened for writing, mapped for reading: it may become writable.
    {"1000-2000 r--s 00000000 fe:00 9     /f", "rd sh mr mw me ms", 0, 9, 1, 1, 129, 0, 2},
    {"1000-2000 r--s 00000000 fe:00 9     /f", "rd mr me ms", 0, 9, 1, 1, 129, 0, 0},
    {"1000-2000 ---s 00002000 fe:00 9     /f", "mr me ms", 8192, 9, 0, 1, 129, 0, 0},
    {"1000-2000 rw-p 00000000 00:01 9     /memfd:x (deleted)", "rd wr mr mw me", 0, 9, 3, 2, 16449,
     0, 0},
    {"1000-2000 rw-s 00001000 00:01 9     /memfd:x (deleted)", "rd wr sh mr mw me ms", 4096, 9, 3,
     1, 16513, 0, 2},
    {"1000-2000 rw-s 00000000 00:01 7     /SYSV00000011 (deleted)", "rd wr sh mr mw me ms", 0, 0, 3,
     33, 1281, 0, 2},
    {"1000-2000 r--s 00001000 00:01 7     /SYSV00000011 (deleted)", "rd sh mr me ms", 4096, 0, 1,
     33, 1281, 0, 0},
    {"1000-2000 rw-p 00000000 00:00 0     [heap]", "rd wr mr mw me ac", 0, 0, 3, 34, 545, 0},
    {"1000-2000 rw-p 00000000 00:00 0     [stack]", "rd wr mr mw me gd ac", 0, 0, 3, 290, 513, 0},
    {"1000-2000 rw-p 00000000 00:00 0 ", "rd wr mr mw me gd ac", 0, 0, 3, 290, 513, 0},
    {"1000-2000 ---p 00000000 00:00 0 ", "mr mw me", 0, 0, 0, 34, 513, 0},
    {"1000-2000 rw-p 00000000 00:00 0     [anon:pool]", "rd wr mr mw me", 0, 0, 3, 34, 513, 0},
    {"1000-2000 rw-p 00000000 00:00 0 ", "rd wr mr mw me lo ac", 0, 0, 3, 8226, 513, 0},
    {"1000-2000 rw-p 00000000 00:00 0 ", "rd wr mr mw me lo lf ac", 0, 0, 3, 8226, 513, 0},
    {"1000-2000 rw-p 00000000 00:00 0 ", "rd wr mr mw me nr", 0, 0, 3, 16418, 513, 0},
    {"1000-2000 rw-p 00000000 00:00 0 ", "rd wr rr", 0, 0, 3, 34, 513, 0x2},
    {"1000-2000 rw-p 00000000 00:00 0 ", "rd wr sr", 0, 0, 3, 34, 513, 0x4},
    {"1000-2000 rw-p 00000000 00:00 0 ", "rd wr dc", 0, 0, 3, 34, 513, 0x400},
    {"1000-2000 rw-p 00000000 00:00 0 ", "rd wr mg", 0, 0, 3, 34, 513, 0x1000},
    {"1000-2000 rw-p 00000000 00:00 0 ", "rd wr hg", 0, 0, 3, 34, 513, 0x4000},
    {"1000-2000 rw-p 00000000 00:00 0 ", "rd wr nh", 0, 0, 3, 34, 513, 0x8000},
    {"1000-2000 rw-p 00000000 00:00 0 ", "rd wr dd", 0, 0, 3, 34, 513, 0x10000},
    // Stock forgets MADV_WIPEONFORK; its restore does apply the bit.
    {"1000-2000 rw-p 00000000 00:00 0 ", "rd wr wf", 0, 0, 3, 34, 513, 0x40000},
    {"1000-2000 rw-p 00000000 00:00 0 ", "rd wr sr dc dd", 0, 0, 3, 34, 513, 0x10404},
    {"1000-2000 r-xp 00000000 00:00 0     [vdso]", "rd ex mr mw me de", 0, 0, 5, 34, 521, 0},
    {"1000-2000 r--p 00000000 00:00 0     [vvar]", "rd mr pf io de dd", 0, 0, 1, 34, 4609, 0x10000},
    {"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0     [vsyscall]", "ex", 0, 0, 4, 34,
     516, 0},
};
INSTANTIATE_TEST_SUITE_P(Stock, VmaEntryTest, ::testing::ValuesIn(kEntries));

TEST(VmaCollectorTest, VvarAndItsClocksAreOneArea) {
  const auto collected = Collect(
      "1000-5000 r--p 00000000 00:00 0     [vvar]\nVmFlags: rd mr pf io de dd \n"
      "5000-7000 r--p 00000000 00:00 0     [vvar_vclock]\nVmFlags: rd mr pf io de dd \n"
      "7000-9000 r-xp 00000000 00:00 0     [vdso]\nVmFlags: rd ex mr mw me de \n");
  ASSERT_TRUE(collected.ok()) << collected.status();
  ASSERT_THAT(collected->entries, SizeIs(2));
  EXPECT_EQ(collected->entries[0].start(), 0x1000u);
  EXPECT_EQ(collected->entries[0].end(), 0x7000u);
  EXPECT_EQ(collected->entries[0].status(), 4609u);
  EXPECT_EQ(collected->entries[1].start(), 0x7000u);
}

struct RefusalCase {
  const char* line;
  const char* vm_flags;
  const char* why;
};
void PrintTo(const RefusalCase& c, std::ostream* out) { *out << c.line; }

class VmaRefusalTest : public ::testing::TestWithParam<RefusalCase> {};

TEST_P(VmaRefusalTest, NamesTheMappingAndWhy) {
  const auto collected =
      Collect(std::string(GetParam().line) + "\nVmFlags: " + GetParam().vm_flags + " \n");
  ASSERT_TRUE(collected.ok()) << collected.status();
  EXPECT_THAT(collected->entries, IsEmpty());
  ASSERT_THAT(collected->refusals, SizeIs(1));
  const ResourceRefusal& refusal = collected->refusals[0];
  EXPECT_EQ(refusal.pid, 42);
  EXPECT_THAT(refusal.resource, HasSubstr("mapping 1000-3000 ("));
  EXPECT_THAT(refusal.why, HasSubstr(GetParam().why));
  EXPECT_FALSE(refusal.remedy.empty());
}

constexpr RefusalCase kRefusals[] = {
    {"1000-3000 rw-s 00000000 00:11 9     /SYSV00000000 (deleted)", "rd wr sh ht", "hugetlb"},
    {"1000-3000 rw-s 00000000 00:09 9     socket:[9]", "rd wr sh mm", "packet socket"},
    {"1000-3000 rw-s 00000000 00:10 9     anon_inode:[io_uring]", "rd wr sh mm", "io_uring"},
    {"1000-3000 rw-s 00000000 00:10 9     anon_inode:[perf_event]", "rd wr pf io", "perf"},
    {"1000-3000 rw-s 00000000 00:10 9     anon_inode:bpf-map", "rd wr sh", "BPF"},
    {"1000-3000 rw-s 00000000 00:10 9     anon_inode:i915.gem", "rd wr sh", "kernel object"},
    {"1000-3000 rw-s 00000000 00:06 9     /dev/dri/card0", "rd wr sh", "device"},
    // Device memory shows in VmFlags, whatever the name.
    {"1000-3000 rw-s 00000000 fe:00 9     /sys/x/resource0", "rd wr sh pf io", "device"},
    {"1000-3000 r-xp 00000000 00:00 0     [uprobes]", "rd ex", "kernel mapping"},
    {"1000-3000 rw-p 00000000 00:00 0 ", "rd wr um", "userfaultfd"},
    {"1000-3000 rw-p 00000000 00:00 0 ", "rd wr uw", "userfaultfd"},
    {"1000-3000 rw-p 00000000 00:00 0 ", "rd wr ui", "userfaultfd"},
    {"1000-3000 rw-p 00000000 00:00 0 ", "rd wr ss", "shadow stack"},
};
INSTANTIATE_TEST_SUITE_P(Resources, VmaRefusalTest, ::testing::ValuesIn(kRefusals));

TEST(VmaCollectorTest, CollectsEveryRefusalAndSaysEachThingOnce) {
  const auto collected = Collect(
      "1000-2000 rw-s 00000000 00:01 9     /lib/old.so (deleted)\nVmFlags: rd wr sh \n"
      "2000-3000 rw-p 00000000 00:00 0 \nVmFlags: rd wr \n"
      "3000-4000 rw-s 00000000 00:10 7     anon_inode:[io_uring]\nVmFlags: rd wr sh \n"
      "4000-5000 r--s 00000000 00:01 9     /lib/old.so (deleted)\nVmFlags: rd sh \n"
      "5000-6000 r--s 00000000 00:01 8     /lib/old.so (deleted)\nVmFlags: rd sh \n");
  ASSERT_TRUE(collected.ok()) << collected.status();
  EXPECT_THAT(collected->entries, SizeIs(1));
  ASSERT_THAT(collected->refusals, SizeIs(3));
  EXPECT_EQ(collected->refusals[0].resource,
            "mapping 1000-2000 (/lib/old.so, shared) and 1 more of it");
  EXPECT_EQ(collected->refusals[1].resource, "mapping 3000-4000 (anon_inode:[io_uring], shared)");
  EXPECT_EQ(collected->refusals[2].resource, "mapping 5000-6000 (/lib/old.so, shared)");
}

// start, end, protection
using Piece = std::tuple<uint64_t, uint64_t, uint32_t>;
struct GuardCase {
  const char* what;
  std::vector<GuardRange> guards;
  std::vector<Piece> pieces;
};
void PrintTo(const GuardCase& c, std::ostream* out) { *out << c.what; }

GuardRange Guard(uint64_t start, uint64_t end) {
  return {RemoteAddress(start), RemoteAddress(end)};
}

class GuardTest : public ::testing::TestWithParam<GuardCase> {};

TEST_P(GuardTest, BecomesAnInaccessiblePiece) {
  const auto collected = Collect(
      "10000-20000 rw-p 00000000 00:00 0 \nVmFlags: rd wr gd gu \n"
      "20000-30000 r--p 00004000 fe:00 9     /f\nVmFlags: rd gu \n",
      GetParam().guards);
  ASSERT_TRUE(collected.ok()) << collected.status();
  std::vector<Piece> pieces;
  for (const image::vma_entry& entry : collected->entries) {
    pieces.emplace_back(entry.start(), entry.end(), entry.prot());
    const bool file = entry.start() >= 0x20000;
    EXPECT_EQ(entry.pgoff(), file ? 0x4000 + (entry.start() - 0x20000) : 0u);
    EXPECT_EQ(entry.flags(), entry.start() == 0x10000 ? 290u : (file ? 2u : 34u));
  }
  EXPECT_EQ(pieces, GetParam().pieces);
}

const GuardCase kGuards[] = {
    {"none", {}, {{0x10000, 0x20000, 3}, {0x20000, 0x30000, 1}}},
    {"in the middle of both",
     {Guard(0x12000, 0x14000), Guard(0x28000, 0x29000)},
     {{0x10000, 0x12000, 3},
      {0x12000, 0x14000, 0},
      {0x14000, 0x20000, 3},
      {0x20000, 0x28000, 1},
      {0x28000, 0x29000, 0},
      {0x29000, 0x30000, 1}}},
    {"two in one",
     {Guard(0x12000, 0x13000), Guard(0x14000, 0x15000)},
     {{0x10000, 0x12000, 3},
      {0x12000, 0x13000, 0},
      {0x13000, 0x14000, 3},
      {0x14000, 0x15000, 0},
      {0x15000, 0x20000, 3},
      {0x20000, 0x30000, 1}}},
    {"at the edges",
     {Guard(0x10000, 0x11000), Guard(0x2f000, 0x30000)},
     {{0x10000, 0x11000, 0}, {0x11000, 0x20000, 3}, {0x20000, 0x2f000, 1}, {0x2f000, 0x30000, 0}}},
    {"across both",
     {Guard(0x1f000, 0x21000)},
     {{0x10000, 0x1f000, 3}, {0x1f000, 0x20000, 0}, {0x20000, 0x21000, 0}, {0x21000, 0x30000, 1}}},
    {"over everything", {Guard(0x0, 0x40000)}, {{0x10000, 0x20000, 0}, {0x20000, 0x30000, 0}}},
};
INSTANTIATE_TEST_SUITE_P(Ranges, GuardTest, ::testing::ValuesIn(kGuards));

TEST(VmaCollectorTest, RefusesGuardsNobodyLookedFor) {
  const auto collected =
      Collect("1000-2000 rw-p 00000000 00:00 0 \nVmFlags: rd wr gu \n", std::nullopt);
  ASSERT_TRUE(collected.ok()) << collected.status();
  ASSERT_THAT(collected->refusals, SizeIs(1));
  EXPECT_THAT(collected->refusals[0].why, HasSubstr("MADV_GUARD_INSTALL"));
}

TEST(VmaCollectorTest, WantsVmFlagsAndPassesTheCallbacksErrorOn) {
  FakeOpener opener;
  const auto without = VmaList::Build(*ParseMaps("1000-2000 rw-p 00000000 00:00 0 \n"), opener);
  EXPECT_EQ(CollectVmas(42, *without, kNoGuards, InodeAsId).status().code(),
            absl::StatusCode::kInternal);
  const VmaList file = ListOf("1000-2000 r--p 00000000 fe:00 9     /f\nVmFlags: rd \n");
  const auto fail = [](const Vma&) -> absl::StatusOr<uint32_t> {
    return absl::NotFoundError("no id");
  };
  EXPECT_EQ(CollectVmas(42, file, kNoGuards, fail).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace dumpctl
