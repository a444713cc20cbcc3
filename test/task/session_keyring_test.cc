#include "dump/task/session_keyring.h"

#include "gtest/gtest.h"

namespace dumpctl {
namespace {

TEST(SessionKeyringTest, WhoHasTheKeysOfEachUserAloneHasNoSession) {
  EXPECT_FALSE(MayBeSessionKeyrings(""));
  EXPECT_FALSE(
      MayBeSessionKeyrings("    0:     9 8/8 3/1000000 88/25000000\n"
                           " 1001:     2 2/2 2/200 28/20000\n"));
}

TEST(SessionKeyringTest, WhoHasMoreMayHaveOne) {
  EXPECT_TRUE(MayBeSessionKeyrings("    0:    10 9/9 4/1000000 88/25000000\n"));
  EXPECT_TRUE(
      MayBeSessionKeyrings("    0:     9 8/8 3/1000000 88/25000000\n"
                           " 1001:     3 3/3 3/200 28/20000\n"));
}

TEST(SessionKeyringTest, WhatIsNotUnderstoodMayBeOne) {
  EXPECT_TRUE(MayBeSessionKeyrings("garbage\n"));
  EXPECT_TRUE(MayBeSessionKeyrings("    0:     9 8/8 x/1000000 88/25000000\n"));
}

}  // namespace
}  // namespace dumpctl
