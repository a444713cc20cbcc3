#include "proc/vma_kind.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <functional>
#include <ostream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/smaps_parser.h"

namespace dumpctl {
namespace {

struct KindCase {
  const char* line;
  // Sets what opening the file would tell; null: the file is not opened.
  void (*facts)(FileFacts&);
  VmaKind kind;
};
void PrintTo(const KindCase& c, std::ostream* out) { *out << c.line; }

class VmaKindTest : public ::testing::TestWithParam<KindCase> {};

TEST_P(VmaKindTest, FollowsFromNameAndFacts) {
  const auto mapping = ParseMapsLine(GetParam().line);
  ASSERT_TRUE(mapping.ok()) << mapping.status();
  FileFacts facts;
  facts.stat.st_mode = S_IFREG | 0644;
  if (GetParam().facts) GetParam().facts(facts);
  EXPECT_EQ(KindOf(*mapping, GetParam().facts ? &facts : nullptr), GetParam().kind);
}

void Plain(FileFacts&) {}
void Shmem(FileFacts& facts) { facts.shmem = true; }
void Sysv(FileFacts& facts) { facts.shmem = facts.sysv = true; }
void Memfd(FileFacts& facts) { facts.shmem = facts.memfd = true; }
void Huge(FileFacts& facts) { facts.hugetlb = true; }
void DeletedHuge(FileFacts& facts) { facts.hugetlb = facts.deleted = true; }
void HugeSysv(FileFacts& facts) { facts.hugetlb = facts.deleted = facts.sysv = true; }
void HugeMemfd(FileFacts& facts) { facts.hugetlb = facts.memfd = true; }
void Socket(FileFacts& facts) {
  facts.stat.st_mode = S_IFSOCK | 0777;
  facts.socket = true;
}
void Zero(FileFacts& facts) {
  facts.stat.st_mode = S_IFCHR | 0666;
  facts.stat.st_rdev = makedev(1, 5);
}
void Gpu(FileFacts& facts) {
  facts.stat.st_mode = S_IFCHR | 0666;
  facts.stat.st_rdev = makedev(226, 128);
}

constexpr KindCase kCases[] = {
    {"1000-2000 rw-p 0 00:00 0 ", nullptr, VmaKind::kAnonPrivate},
    {"1000-2000 rw-p 0 00:00 0   [anon:pool]", nullptr, VmaKind::kAnonPrivate},
    {"1000-2000 rw-p 0 00:00 0   [heap]", nullptr, VmaKind::kHeap},
    {"1000-2000 rw-p 0 00:00 0   [stack]", nullptr, VmaKind::kStack},
    {"1000-2000 r-xp 0 00:00 0   [vdso]", nullptr, VmaKind::kVdso},
    {"1000-2000 r--p 0 00:00 0   [vvar]", nullptr, VmaKind::kVvar},
    {"1000-2000 r--p 0 00:00 0   [vvar_vclock]", nullptr, VmaKind::kVvarClock},
    {"1000-2000 --xp 0 00:00 0   [vsyscall]", nullptr, VmaKind::kVsyscall},
    {"1000-2000 --xp 0 00:00 0   [uprobes]", nullptr, VmaKind::kSpecial},
    {"1000-2000 r-xp 0 fe:00 1   /lib/libc.so", Plain, VmaKind::kFilePrivate},
    {"1000-2000 r-xp 0 fe:00 1   /lib/libc.so", nullptr, VmaKind::kFilePrivate},
    {"1000-2000 rw-s 0 fe:00 1   /var/db", Plain, VmaKind::kFileShared},
    {"1000-2000 rw-s 0 fe:00 1   /var/db (deleted)", Plain, VmaKind::kFileShared},
    {"1000-2000 rw-s 0 00:01 8   /dev/zero (deleted)", Shmem, VmaKind::kAnonShared},
    {"1000-2000 rw-s 0 00:01 8   [anon_shmem:x]", Shmem, VmaKind::kAnonShared},
    {"1000-2000 rw-s 0 00:01 8   /drm mm object (deleted)", Shmem, VmaKind::kSpecial},
    {"1000-2000 rw-p 0 00:06 4   /dev/zero", Zero, VmaKind::kFilePrivate},
    {"1000-2000 rw-s 0 00:01 8   /memfd:x (deleted)", Memfd, VmaKind::kMemfd},
    {"1000-2000 rw-s 0 00:01 8   /memfd: (deleted)", Memfd, VmaKind::kMemfd},
    {"1000-2000 rw-p 0 00:01 8   /memfd: (deleted)", Memfd, VmaKind::kMemfd},
    {"1000-2000 rw-p 0 00:01 8   /dev/zero (deleted)", Shmem, VmaKind::kSpecial},
    {"1000-2000 rw-p 0 00:01 8   /memfd:x (deleted)", Memfd, VmaKind::kMemfd},
    {"1000-2000 rw-s 0 00:01 0   /SYSV00000000 (deleted)", Sysv, VmaKind::kSysvShm},
    // Only the names look like it; the files live on a disk.
    {"1000-2000 rw-s 0 fe:00 8   /memfd:x (deleted)", Plain, VmaKind::kFileShared},
    {"1000-2000 rw-s 0 fe:00 8   /SYSV00000000 (deleted)", Plain, VmaKind::kFileShared},
    {"1000-2000 rw-s 0 fe:00 8   /[aio] (deleted)", Plain, VmaKind::kFileShared},
    {"1000-2000 rw-s 0 00:13 8   /[aio] (deleted)", Plain, VmaKind::kAioRing},
    {"1000-2000 rw-p 0 00:11 8   /anon_hugepage (deleted)", DeletedHuge, VmaKind::kAnonPrivate},
    {"1000-2000 rw-s 0 00:11 8   /anon_hugepage (deleted)", DeletedHuge, VmaKind::kMemfd},
    {"1000-2000 rw-s 0 00:2a 8   /huge/f", Huge, VmaKind::kFileShared},
    {"1000-2000 rw-p 0 00:2a 8   /huge/f", Huge, VmaKind::kFilePrivate},
    {"1000-2000 rw-s 0 00:2a 8   /huge/f (deleted)", DeletedHuge, VmaKind::kHugetlb},
    {"1000-2000 rw-s 0 00:11 8   /SYSV00000000 (deleted)", HugeSysv, VmaKind::kHugetlb},
    {"1000-2000 rw-s 0 00:11 8   /memfd:x (deleted)", HugeMemfd, VmaKind::kMemfd},
    {"1000-2000 rw-s 0 00:09 8   socket:[8]", Socket, VmaKind::kSocket},
    {"1000-2000 rw-s 0 00:09 8   socket:[8]", nullptr, VmaKind::kSocket},
    {"1000-2000 rw-s 0 00:10 8   anon_inode:[perf_event]", Plain, VmaKind::kAnonInode},
    {"1000-2000 rw-s 0 00:06 9   /dev/dri/renderD128", Gpu, VmaKind::kDevice},
};
INSTANTIATE_TEST_SUITE_P(Kinds, VmaKindTest, ::testing::ValuesIn(kCases));

TEST(VmaKindFlagsTest, HugePagesShowInVmFlagsToo) {
  auto mapping = ParseMapsLine("1000-2000 rw-p 0 00:11 8   /anon_hugepage (deleted)");
  ASSERT_TRUE(mapping.ok());
  mapping->flags = VmFlags{VmFlag::kHugeTlb};
  EXPECT_EQ(KindOf(*mapping, nullptr), VmaKind::kHugetlb);
}

}  // namespace
}  // namespace dumpctl
