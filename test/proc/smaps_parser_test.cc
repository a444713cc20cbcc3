#include "proc/smaps_parser.h"

#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <ostream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/proc_fs.h"

namespace dumpctl {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct SmapsLineCase {
  const char* line;
  const char* name;
  bool deleted;
  bool has_file;
};
void PrintTo(const SmapsLineCase& c, std::ostream* out) { *out << c.line; }

class MapsLineTest : public ::testing::TestWithParam<SmapsLineCase> {};

TEST_P(MapsLineTest, TellsTheNameFromWhatTheKernelAddsToIt) {
  const absl::StatusOr<Mapping> mapping = ParseMapsLine(GetParam().line);
  ASSERT_TRUE(mapping.ok()) << mapping.status();
  EXPECT_EQ(mapping->name, GetParam().name);
  EXPECT_EQ(mapping->deleted, GetParam().deleted);
  EXPECT_EQ(mapping->file.valid(), GetParam().has_file);
}

// As printed by Linux 6.18, but for the addresses.
constexpr SmapsLineCase kSmapsLines[] = {
    {"7fb4d1249000-7fb4d134c000 rw-p 00000000 00:00 0 ", "", false, false},
    {"7fb4d1249000-7fb4d134c000 rw-p 00000000 00:00 0", "", false, false},
    {"1000-2000 rw-p 00000000 00:00 0                          [heap]", "[heap]", false, false},
    {"1000-2000 rw-p 00000000 00:00 0                          [stack]", "[stack]", false, false},
    {"1000-2000 r-xp 00000000 00:00 0                          [vdso]", "[vdso]", false, false},
    {"1000-2000 r--p 00000000 00:00 0                          [vvar]", "[vvar]", false, false},
    {"1000-2000 r--p 00000000 00:00 0                          [vvar_vclock]", "[vvar_vclock]",
     false, false},
    {"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]",
     "[vsyscall]", false, false},
    {"1000-2000 rw-p 00000000 00:00 0                          [anon:with a blank]",
     "[anon:with a blank]", false, false},
    {"1000-2000 rw-s 00000000 00:01 28                         [anon_shmem:x]", "[anon_shmem:x]",
     false, true},
    {"1000-2000 r--p 00000000 fe:00 332835                     /usr/lib/libc.so.6",
     "/usr/lib/libc.so.6", false, true},
    {"1000-2000 r--p 00000000 fe:00 332835                     /opt/a  b/c ", "/opt/a  b/c ", false,
     true},
    {"1000-2000 r--s 00000000 fe:00 10952834                   /tmp/a\\012b (deleted)", "/tmp/a\nb",
     true, true},
    {"1000-2000 r--s 00000000 fe:00 10952834                   /tmp/a\\012\\012", "/tmp/a\n\n",
     false, true},
    // Neither blanks nor backslashes are escaped here, unlike in mountinfo.
    {"1000-2000 r--s 00000000 fe:00 10952834                   /tmp/a\\040b\\134",
     "/tmp/a\\040b\\134", false, true},
    {"1000-2000 r--s 00000000 fe:00 7                          /tmp/x (deleted) (deleted)",
     "/tmp/x (deleted)", true, true},
    {"1000-2000 rw-s 00000000 00:01 28                         /dev/zero (deleted)", "/dev/zero",
     true, true},
    {"1000-2000 rw-p 00000000 00:06 4                          /dev/zero", "/dev/zero", false,
     true},
    // The first SysV segment of an ipc namespace has inode 0 and is a file all the same.
    {"1000-2000 rw-s 00000000 00:01 0                          /SYSV00000000 (deleted)",
     "/SYSV00000000", true, true},
    {"1000-2000 r--s 00000000 00:01 29                         /memfd:x y\\012(deleted) (deleted)",
     "/memfd:x y\n(deleted)", true, true},
    {"1000-2000 rw-s 00000000 00:13 17690                      /[aio] (deleted)", "/[aio]", true,
     true},
    {"1000-2000 rw-s 00000000 00:10 1039                       anon_inode:[perf_event]",
     "anon_inode:[perf_event]", false, true},
    {"1000-2000 rw-s 00000000 00:09 17319                      socket:[17319]", "socket:[17319]",
     false, true},
};
INSTANTIATE_TEST_SUITE_P(Names, MapsLineTest, ::testing::ValuesIn(kSmapsLines));

TEST(MapsLineTest, ReadsEveryField) {
  const absl::StatusOr<Mapping> mapping =
      ParseMapsLine("7fb4d1372000-7fb4d14c8000 r-xs 00026000 103:1ff 332835    /x");
  ASSERT_TRUE(mapping.ok()) << mapping.status();
  EXPECT_EQ(mapping->start, RemoteAddress(0x7fb4d1372000));
  EXPECT_EQ(mapping->end, RemoteAddress(0x7fb4d14c8000));
  EXPECT_EQ(mapping->size(), 0x156000u);
  EXPECT_TRUE(mapping->read);
  EXPECT_FALSE(mapping->write);
  EXPECT_TRUE(mapping->exec);
  EXPECT_TRUE(mapping->shared);
  EXPECT_EQ(mapping->offset, 0x26000u);
  EXPECT_EQ(mapping->file, (FileIdentity{makedev(0x103, 0x1ff), 332835}));
  EXPECT_EQ(mapping->flags, std::nullopt);
}

struct BadLine {
  const char* line;
  const char* field;
};
void PrintTo(const BadLine& c, std::ostream* out) { *out << c.line; }

class BadMapsLineTest : public ::testing::TestWithParam<BadLine> {};

TEST_P(BadMapsLineTest, QuotesTheLineAndNamesTheField) {
  const absl::Status status = ParseMapsLine(GetParam().line).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(std::string("'") + GetParam().field + "'"),
                    HasSubstr(std::string("\"") + GetParam().line + "\"")));
}

constexpr BadLine kBadSmapsLines[] = {
    {"", "start"},
    {"x-2000 r--p 0 00:00 0", "start"},
    {"1000 2000 r--p 0 00:00 0", "start"},
    {"10000000000000000-2000 r--p 0 00:00 0", "start"},
    {"1000-z r--p 0 00:00 0", "end"},
    {"1000-2000r--p 0 00:00 0", "end"},
    {"2000-1000 r--p 0 00:00 0", "end"},
    {"1000-1000 r--p 0 00:00 0", "end"},
    {"1000-2000 r-- 0 00:00 0", "permissions"},
    {"1000-2000 w--p 0 00:00 0", "permissions"},
    {"1000-2000 r--q 0 00:00 0", "permissions"},
    {"1000-2000 r--pp 0 00:00 0", "permissions"},
    {"1000-2000 r--p  00:00 0", "offset"},
    {"1000-2000 r--p 0-00:00 0", "offset"},
    {"1000-2000 r--p 0 :00 0", "device"},
    {"1000-2000 r--p 0 00.00 0", "device"},
    {"1000-2000 r--p 0 00:g 0", "device"},
    {"1000-2000 r--p 0 00:00", "device"},
    {"1000-2000 r--p 0 00:00 x", "inode"},
    {"1000-2000 r--p 0 00:00 0x", "name"},
};
INSTANTIATE_TEST_SUITE_P(Fields, BadMapsLineTest, ::testing::ValuesIn(kBadSmapsLines));

TEST(MapsTest, RefusesWhatOverlapsOrWasCutShort) {
  EXPECT_TRUE(ParseMaps("").ok());
  EXPECT_EQ(ParseMaps("1000-2000 r--p 0 00:00 0 \n2000-3000 r--p 0 00:00 0 \n")->size(), 2u);
  EXPECT_THAT(
      std::string(
          ParseMaps("1000-3000 r--p 0 00:00 0 \n2000-4000 r--p 0 00:00 0 \n").status().message()),
      HasSubstr("2000-4000"));
  EXPECT_THAT(std::string(ParseMaps("1000-2000 r--p 0 00:00 0 ").status().message()),
              HasSubstr("cut short"));
}

struct SmapsCase {
  const char* kernel;
  const char* text;
  VmFlags flags;
};
void PrintTo(const SmapsCase& c, std::ostream* out) { *out << c.kernel; }

class SmapsTest : public ::testing::TestWithParam<SmapsCase> {};

TEST_P(SmapsTest, ReadsVmFlagsAmongTheFieldsOfItsTime) {
  const auto mappings = ParseSmaps(GetParam().text);
  ASSERT_TRUE(mappings.ok()) << mappings.status();
  ASSERT_EQ(mappings->size(), 2u);
  EXPECT_EQ((*mappings)[0].name, "/usr/bin/cat");
  EXPECT_EQ((*mappings)[0].flags, GetParam().flags);
  EXPECT_EQ((*mappings)[1].name, "[stack]");
  EXPECT_TRUE((*mappings)[1].Has(VmFlag::kGrowsDown));
}

using F = VmFlag;
const SmapsCase kSmaps[] = {
    {"4.19: no THPeligible, and the 'dw' that 5.15 dropped",
     "55d0c0a6e000-55d0c0a76000 r-xp 00000000 08:01 131091                     /usr/bin/cat\n"
     "Size:                 32 kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n"
     "Rss:                  32 kB\nPss:                  32 kB\nShared_Clean:          0 kB\n"
     "Shared_Dirty:          0 kB\nPrivate_Clean:        32 kB\nPrivate_Dirty:         0 kB\n"
     "Referenced:           32 kB\nAnonymous:             0 kB\nLazyFree:              0 kB\n"
     "AnonHugePages:         0 kB\nShmemPmdMapped:        0 kB\nShared_Hugetlb:        0 kB\n"
     "Private_Hugetlb:       0 kB\nSwap:                  0 kB\nSwapPss:               0 kB\n"
     "Locked:                0 kB\nVmFlags: rd ex mr mw me dw sd \n"
     "7ffd0c0a6000-7ffd0c0c7000 rw-p 00000000 00:00 0                          [stack]\n"
     "Size:                132 kB\nLocked:                0 kB\nVmFlags: rd wr mr mw me gd ac \n",
     {F::kRead, F::kExec, F::kMayRead, F::kMayWrite, F::kMayExec, F::kOther, F::kSoftDirty}},
    {"5.10: FilePmdMapped, THPeligible, ProtectionKey on CPUs that have them",
     "55d0c0a6e000-55d0c0a76000 r--p 00000000 08:01 131091                     /usr/bin/cat\n"
     "Size:                 32 kB\nRss:                  32 kB\nFilePmdMapped:         0 kB\n"
     "Locked:                0 kB\nTHPeligible:    0\nProtectionKey:         0\n"
     "VmFlags: rd mr mw me dw \n"
     "7ffd0c0a6000-7ffd0c0c7000 rw-p 00000000 00:00 0                          [stack]\n"
     "Size:                132 kB\nTHPeligible:    0\nProtectionKey:         0\n"
     "VmFlags: rd wr mr mw me gd ac \n",
     {F::kRead, F::kMayRead, F::kMayWrite, F::kMayExec, F::kOther}},
    {"6.1: Pss_Dirty",
     "55d0c0a6e000-55d0c0a76000 r--p 00000000 08:01 131091                     /usr/bin/cat\n"
     "Size:                 32 kB\nPss:                  32 kB\nPss_Dirty:             0 kB\n"
     "THPeligible:    0\nVmFlags: rd mr mw me lo lf hg \n"
     "7ffd0c0a6000-7ffd0c0c7000 rw-p 00000000 00:00 0                          [stack]\n"
     "Size:                132 kB\nTHPeligible:    0\nVmFlags: rd wr mr mw me gd ac \n",
     {F::kRead, F::kMayRead, F::kMayWrite, F::kMayExec, F::kLocked, F::kLockOnFault, F::kHugePage}},
    {"6.18: KSM, wider THPeligible, sealed and guarded memory",
     "55e3ed6fd000-55e3ed6fe000 r--p 00000000 fe:00 10952913                   /usr/bin/cat\n"
     "Size:                  4 kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n"
     "Rss:                   4 kB\nPss:                   4 kB\nPss_Dirty:             0 kB\n"
     "KSM:                   0 kB\nLazyFree:              0 kB\nTHPeligible:           0\n"
     "VmFlags: rd mr mw me gu sl \n"
     "7fffe8637000-7fffe8658000 rw-p 00000000 00:00 0                          [stack]\n"
     "Size:                132 kB\nTHPeligible:           0\nVmFlags: rd wr mr mw me gd ac \n",
     {F::kRead, F::kMayRead, F::kMayWrite, F::kMayExec, F::kGuarded, F::kSealed}},
};
INSTANTIATE_TEST_SUITE_P(Kernels, SmapsTest, ::testing::ValuesIn(kSmaps));

TEST(SmapsParserTest, KnowsEveryCodeThatADumpUses) {
  const std::string text =
      "1000-2000 rw-p 00000000 00:00 0 \n"
      "VmFlags: pf io sr rr dc de nr ht sf wf dd mm nh mg um uw ui dp ss sh ms zz ?? \n";
  const auto mappings = ParseSmaps(text);
  ASSERT_TRUE(mappings.ok()) << mappings.status();
  EXPECT_EQ((*mappings)[0].flags,
            (VmFlags{F::kPfnMap,     F::kIo,         F::kSequentialRead, F::kRandomRead,
                     F::kDontCopy,   F::kDontExpand, F::kNoReserve,      F::kHugeTlb,
                     F::kSync,       F::kWipeOnFork, F::kDontDump,       F::kMixedMap,
                     F::kNoHugePage, F::kMergeable,  F::kUffdMissing,    F::kUffdWriteProtect,
                     F::kUffdMinor,  F::kDroppable,  F::kShadowStack,    F::kShared,
                     F::kMayShare,   F::kOther}));
  // [vsyscall] has but one, and a mapping may have none.
  EXPECT_EQ(*(*ParseSmaps("1000-2000 ---p 0 00:00 0 \nVmFlags: \n"))[0].flags, VmFlags());
}

struct BadSmaps {
  const char* text;
  const char* quoted;
  const char* field;
};
void PrintTo(const BadSmaps& c, std::ostream* out) { *out << c.field; }

class BadSmapsTest : public ::testing::TestWithParam<BadSmaps> {};

TEST_P(BadSmapsTest, QuotesTheLineAndNamesTheField) {
  const absl::Status status = ParseSmaps(GetParam().text).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(GetParam().quoted), HasSubstr(GetParam().field)));
}

#define ENTRY "1000-2000 rw-p 00000000 00:00 0 \n"
constexpr BadSmaps kBadSmaps[] = {
    {"Rss:                   4 kB\n", "\"Rss:                   4 kB\"", "no mapping"},
    {ENTRY "Rss:     x kB\n", "\"Rss:     x kB\"", "'Rss'"},
    {ENTRY "Rss:     4 MB\n", "\"Rss:     4 MB\"", "'Rss'"},
    {ENTRY "Rss 4\n", "\"Rss 4\"", "'name'"},
    {ENTRY ":  4 kB\n", "\":  4 kB\"", "'name'"},
    {ENTRY "VmFlags: rd w\n", "\"VmFlags: rd w\"", "'VmFlags'"},
    {ENTRY "Rss:     4 kB\n", "1000-2000 rw-p", "'VmFlags'"},
    {ENTRY "2000-3000 rw-p 0 00:00 0 \nVmFlags: \n", "1000-2000 rw-p", "'VmFlags'"},
    {ENTRY "VmFlags: rd wr", "\"VmFlags: rd wr\"", "cut short"},
    {ENTRY "VmFlags: \n1800-3000 rw-p 0 00:00 0 \nVmFlags: \n", "1800-3000", "'start'"},
};
#undef ENTRY
INSTANTIATE_TEST_SUITE_P(Fields, BadSmapsTest, ::testing::ValuesIn(kBadSmaps));

TEST(MapsTest, TakesAMappingThatGrewMeanwhileOnce) {
  const auto mappings = ParseMaps(
      "1000-2000 r--p 0 00:00 0 \n2000-3000 r--p 0 00:00 0 \n3000-4000 rw-p 0 00:00 0 \n"
      "2000-6000 rw-p 0 00:00 0     [heap]\n");
  ASSERT_TRUE(mappings.ok()) << mappings.status();
  ASSERT_EQ(mappings->size(), 2u);
  EXPECT_EQ((*mappings)[1].name, "[heap]");
}

// Of this very kernel, whatever it prints: both texts of one task tell the same mappings.
TEST(SmapsParserTest, AgreesWithMapsOnThisKernel) {
  const pid_t child = fork();
  if (child == 0) {
    raise(SIGSTOP);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, WUNTRACED), child);
  const auto dir = ProcDir::OpenTask(child);
  ASSERT_TRUE(dir.ok());
  auto smaps = ParseSmaps(*dir->Read("smaps"));
  const auto maps = ParseMaps(*dir->Read("maps"));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  ASSERT_TRUE(smaps.ok()) << smaps.status();
  ASSERT_TRUE(maps.ok()) << maps.status();
  for (Mapping& mapping : *smaps) {
    ASSERT_TRUE(mapping.flags.has_value());
    EXPECT_EQ(mapping.Has(VmFlag::kRead), mapping.read) << mapping.name;
    EXPECT_EQ(mapping.Has(VmFlag::kGrowsDown), mapping.name == "[stack]") << mapping.name;
    mapping.flags.reset();
  }
  EXPECT_EQ(*smaps, *maps);
}

// The guard gap below a growing mapping lies outside of it (Linux 4.12): no start needs adjusting.
TEST(SmapsParserTest, AGrowingMappingsFirstPageIsItsOwn) {
  constexpr size_t kSize = 65536;
  void* at = mmap(nullptr, kSize, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);
  ASSERT_NE(at, MAP_FAILED);
  *static_cast<volatile char*>(at) = 1;
  const auto mappings = ParseSmaps(*ProcDir::OpenTask(getpid())->Read("smaps"));
  ASSERT_TRUE(mappings.ok()) << mappings.status();
  size_t found = 0;
  for (const Mapping& mapping : *mappings) {
    if (mapping.start.value() != reinterpret_cast<uint64_t>(at)) continue;
    ++found;
    EXPECT_TRUE(mapping.Has(VmFlag::kGrowsDown));
    EXPECT_EQ(mapping.size(), kSize);
  }
  munmap(at, kSize);
  EXPECT_EQ(found, 1u);
}

TEST(SmapsParserTest, TwentyThousandMappingsAreQuick) {
  std::string text;
  for (int i = 0; i < 20000; ++i) {
    char line[160];
    snprintf(line, sizeof line,
             "%x000-%x000 r--p 00000000 fe:00 332835                     "
             "/usr/lib/x86_64-linux-gnu/libc.so.6\n",
             0x10000 + i, 0x10001 + i);
    text += line;
  }
  const auto start = std::chrono::steady_clock::now();
  const auto mappings = ParseMaps(text);
  const auto took = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(mappings.ok()) << mappings.status();
  EXPECT_EQ(mappings->size(), 20000u);
  // It takes some milliseconds; a quadratic slip would take many seconds, also on a loaded machine.
  EXPECT_LT(took, std::chrono::seconds(2));
}

}  // namespace
}  // namespace dumpctl
