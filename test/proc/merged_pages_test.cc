#include "proc/merged_pages.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "dumpctl/kernel_abi.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

constexpr size_t kPage = 4096;

// 0 where frames are not shown.
uint64_t FrameOf(const void* page) {
  const UniqueFd pagemap(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  uint64_t entry = 0;
  const auto at = static_cast<off_t>(reinterpret_cast<uint64_t>(page) / kPage * sizeof entry);
  EXPECT_EQ(pread(pagemap.get(), &entry, sizeof entry, at), ssize_t{sizeof entry});
  return entry & abi::kPagemapFrame;
}

char* Map(int flags, int file) {
  return static_cast<char*>(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, flags, file, 0));
}

TEST(FrameFlagsTest, TellAnonymousPagesFromOthers) {
  char* const own = Map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
  char* const zeros = Map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
  const UniqueFd memfd(memfd_create("shared", MFD_CLOEXEC));
  ASSERT_EQ(ftruncate(memfd.get(), kPage), 0);
  char* const shared = Map(MAP_SHARED, memfd.get());
  own[0] = shared[0] = 1;
  EXPECT_EQ(*static_cast<volatile char*>(zeros), 0);
  if (FrameOf(own) == 0 || access("/proc/kpageflags", R_OK) != 0) {
    GTEST_SKIP() << "this caller is shown no frames";
  }
  const FrameFlags flags = FrameFlags::Open();
  EXPECT_TRUE(flags.IsForked(FrameOf(own)));
  EXPECT_FALSE(flags.IsForked(FrameOf(zeros)));
  EXPECT_FALSE(flags.IsForked(FrameOf(shared)));
  EXPECT_FALSE(flags.IsForked(UINT64_MAX / 16));
}

TEST(HasNoMergedPagesTest, WhoAsksForNothingHasNone) {
  const auto self = ProcDir::OpenOwn();
  ASSERT_TRUE(self.ok());
  if (access("/proc/self/ksm_stat", F_OK) != 0) GTEST_SKIP() << "before Linux 6.1";
  EXPECT_TRUE(HasNoMergedPages(*self));
}

}  // namespace
}  // namespace dumpctl
