#include "dump/task/security_label.h"

#include <fcntl.h>
#include <unistd.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST(SecurityLabelTest, OtherLabelsAreRefused) {
  EXPECT_THAT(RefuseSecurityLabel(7, "", ""), IsEmpty());
  EXPECT_THAT(RefuseSecurityLabel(7, "unconfined", "unconfined"), IsEmpty());
  const auto confined = RefuseSecurityLabel(7, "docker-default (enforce)", "unconfined");
  ASSERT_THAT(confined, SizeIs(1));
  EXPECT_EQ(confined[0].pid, 7);
  EXPECT_EQ(confined[0].resource, "security label docker-default (enforce)");
  EXPECT_THAT(confined[0].remedy, HasSubstr("unconfined"));
  EXPECT_EQ(RefuseSecurityLabel(7, "", "x").at(0).resource, "security label (none)");
}

TEST(SecurityLabelTest, ReadsItsOwn) {
  const auto self = ProcDir::OpenTask(getpid());
  ASSERT_TRUE(self.ok());
  const std::string label = SecurityLabelOf(*self);
  EXPECT_EQ(label.find('\n'), label.npos);
  EXPECT_EQ(label, SecurityLabelOf(*ProcDir::OpenTask(getpid())));
  EXPECT_TRUE(label.empty() || AreTasksLabelled(*self));
  EXPECT_EQ(AreTasksLabelled(*self), self->Read("attr/current").ok());
}

}  // namespace
}  // namespace dumpctl
