#include "dump/session/descriptor_room.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "gtest/gtest.h"
#include "proc/proc_fs.h"
#include "proc/status_parser.h"

namespace dumpctl {
namespace {

// As the kernel has it now.
int TableSize() {
  const auto self = ProcDir::OpenTask(getpid());
  const auto text = self->ReadWhole("status");
  return std::stoi(std::string(StatusValue(*text, "FDSize")));
}

size_t OpenDescriptors() { return ListNumbers(*ProcDir::OpenTask(getpid()), "fd")->size(); }

TEST(DescriptorRoomTest, MakesTheTableLargeAndLeavesNothingOpen) {
  rlimit limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  // That of our own directory is kept.
  ASSERT_TRUE(ProcDir::OpenOwn().ok());
  const size_t before = OpenDescriptors();
  ReserveDescriptors(900);
  EXPECT_GE(TableSize(), static_cast<int>(std::min<rlim_t>(900, limit.rlim_cur)));
  EXPECT_EQ(OpenDescriptors(), before);
  // More than there may be are no error.
  ReserveDescriptors(static_cast<size_t>(limit.rlim_cur) + 1);
  ReserveDescriptors(0);
  EXPECT_EQ(OpenDescriptors(), before);
}

}  // namespace
}  // namespace dumpctl
