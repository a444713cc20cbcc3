#include "dump/image/unfinished_mark.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "dump/image/image_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/temporary_directory.h"

namespace dumpctl {
namespace {

using ::testing::UnorderedElementsAre;

class UnfinishedMarkTest : public testing::Test {
 protected:
  void SetUp() override {
    struct statx there = {};
    ASSERT_EQ(statx(directory_.get(), "", AT_EMPTY_PATH, STATX_BTIME, &there), 0);
    if ((there.stx_mask & STATX_BTIME) == 0) GTEST_SKIP() << "no times of birth here";
  }

  // As a dump that is killed then leaves it.
  void LeaveUnfinished() {
    const auto [mark, error] = UnfinishedMark::Create(BorrowedFd(directory_));
    ASSERT_EQ(error, 0);
    for (const char* name : {"pages-1.img", "pagemap-7.img", "core-7.img"}) {
      const UniqueFd file(open(place_.Path(name).c_str(), O_RDWR | O_CREAT | O_EXCL, 0644));
      ASSERT_TRUE(file);
      mark.Add(BorrowedFd(file));
    }
  }
  void CleanUp() const { UnfinishedMark::CleanUp(BorrowedFd(directory_)); }

  const TemporaryDirectory place_;
  const UniqueFd directory_{open(place_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
};

TEST_F(UnfinishedMarkTest, WhatAKilledDumpHasLeftIsNoObstacle) {
  LeaveUnfinished();
  place_.Write("dump.log", "log");
  auto directory = ImageDirectory::OpenInPlace(place_.path());
  ASSERT_TRUE(directory.ok()) << directory.status();
  EXPECT_THAT(place_.Names(), UnorderedElementsAre("dump.log", ".dumpctl-unfinished"));
  EXPECT_TRUE(directory->LeavePages().ok());
  EXPECT_TRUE(directory->ExpectNoImages().ok());
}

TEST_F(UnfinishedMarkTest, SomebodyElsesImagesStay) {
  LeaveUnfinished();
  // The second may get the inode number of the first. What is renamed is still the dump's.
  std::filesystem::remove(place_.Path("pages-1.img"));
  std::filesystem::rename(place_.Path("core-7.img"), place_.Path("core-8.img"));
  ASSERT_EQ(usleep(20'000), 0);  // a tick of the clock that times of birth are of
  place_.Write("pages-1.img", "another's");
  place_.Write("pagemap-9.img", "another's");
  CleanUp();
  EXPECT_THAT(place_.Names(), UnorderedElementsAre("pages-1.img", "pagemap-9.img"));
}

TEST_F(UnfinishedMarkTest, AWholeDumpStays) {
  LeaveUnfinished();
  place_.Write("inventory.img", "x");
  CleanUp();
  EXPECT_THAT(place_.Names(),
              UnorderedElementsAre("pages-1.img", "pagemap-7.img", "core-7.img", "inventory.img"));
}

TEST_F(UnfinishedMarkTest, AnotherUsersMarkTellsNothing) {
  LeaveUnfinished();
  if (chown(place_.Path(".dumpctl-unfinished").c_str(), 65534, 65534) < 0) {
    GTEST_SKIP() << "files cannot be given away";
  }
  CleanUp();
  EXPECT_THAT(place_.Names(), UnorderedElementsAre("pages-1.img", "pagemap-7.img", "core-7.img"));
}

TEST_F(UnfinishedMarkTest, OneThatNoDumpCanHaveMadeTellsNothing) {
  LeaveUnfinished();
  std::filesystem::resize_file(place_.Path(".dumpctl-unfinished"), uint64_t{1} << 40);
  CleanUp();
  EXPECT_THAT(place_.Names(), UnorderedElementsAre("pages-1.img", "pagemap-7.img", "core-7.img"));
}

TEST_F(UnfinishedMarkTest, OneThatIsCutShortTellsOfWhatIsWhole) {
  LeaveUnfinished();
  std::filesystem::resize_file(place_.Path(".dumpctl-unfinished"), 3 * 24 + 7);
  CleanUp();
  EXPECT_THAT(place_.Names(), UnorderedElementsAre("core-7.img"));
}

}  // namespace
}  // namespace dumpctl
