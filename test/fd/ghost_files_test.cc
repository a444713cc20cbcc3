#include "dump/fd/ghost_files.h"
#include "dump/image/image_directory.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/temporary_directory.h"

namespace dumpctl {
namespace {

using testing::EndsWith;
using testing::SizeIs;

class GhostFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    fd_ = UniqueFd(open(dir_.c_str(), O_TMPFILE | O_RDWR, 0600));
    ASSERT_TRUE(fd_);
  }

  // What stands in the image of a saved ghost.
  std::string Image(int number) {
    return place_.Contents(".dumpctl-staging/ghost-file-" + std::to_string(number) + ".img");
  }

  const TemporaryDirectory place_;
  const std::string dir_ = place_.path();
  UniqueFd fd_;
  std::function<absl::Status()> may_go_on_;
};

TEST_F(GhostFilesTest, EachIsSavedOnceWhateverRefersToIt) {
  auto directory = ImageDirectory::Open(dir_);
  ASSERT_TRUE(directory.ok()) << directory.status();
  auto ghosts = GhostFiles::Create(*directory, may_go_on_);
  ASSERT_TRUE(ghosts.ok()) << ghosts.status();
  ASSERT_EQ(write(fd_.get(), "contents", 8), 8);
  const std::string link = "/proc/self/fd/" + std::to_string(fd_.get());
  const UniqueFd other(open(link.c_str(), O_PATH));
  ASSERT_TRUE(ghosts->Save(BorrowedFd(other)).ok());
  ASSERT_TRUE(ghosts->Save(BorrowedFd(fd_)).ok());
  ASSERT_THAT(ghosts->table(), SizeIs(1));
  EXPECT_EQ(ghosts->table().begin()->second.number, 1u);
  EXPECT_EQ(ghosts->table().begin()->second.size, 8u);
  EXPECT_EQ(ghosts->bytes(), 8u);
  EXPECT_THAT(Image(1), EndsWith("contents"));
}

TEST_F(GhostFilesTest, HolesAreLeftOut) {
  auto directory = ImageDirectory::Open(dir_);
  ASSERT_TRUE(directory.ok()) << directory.status();
  auto ghosts = GhostFiles::Create(*directory, may_go_on_);
  ASSERT_TRUE(ghosts.ok()) << ghosts.status();
  ASSERT_EQ(pwrite(fd_.get(), "at the end", 10, 1 << 30), 10);
  ASSERT_TRUE(ghosts->Save(BorrowedFd(fd_)).ok());
  EXPECT_LE(ghosts->bytes(), 65536u);
  const std::string image = Image(1);
  EXPECT_THAT(image, EndsWith("at the end"));
  EXPECT_LE(image.size(), 65536u + 200);
}

TEST_F(GhostFilesTest, ACopyEndsWhenAskedTo) {
  may_go_on_ = [] { return absl::CancelledError("enough"); };
  auto directory = ImageDirectory::Open(dir_);
  ASSERT_TRUE(directory.ok()) << directory.status();
  auto ghosts = GhostFiles::Create(*directory, may_go_on_);
  ASSERT_TRUE(ghosts.ok()) << ghosts.status();
  ASSERT_EQ(write(fd_.get(), "contents", 8), 8);
  EXPECT_TRUE(absl::IsCancelled(ghosts->Save(BorrowedFd(fd_))));
}

}  // namespace
}  // namespace dumpctl
