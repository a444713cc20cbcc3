#include "dump/mm/shared_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dumpctl {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;

auto Of(pid_t pid) { return Field(&ResourceRefusal::pid, pid); }

TEST(RefuseSharedOrderTest, WhatChildrenInheritIsInOneOrder) {
  const SharedMappings tasks[] = {{2, {11, 12, 13}}, {3, {11, 12, 13}}, {4, {11, 13}}, {5, {}}};
  EXPECT_THAT(RefuseSharedOrder(tasks), IsEmpty());
}

TEST(RefuseSharedOrderTest, OfOneTaskNobodyWaits) {
  const SharedMappings tasks[] = {{2, {11, 12, 11, 13, 12}}};
  EXPECT_THAT(RefuseSharedOrder(tasks), IsEmpty());
}

TEST(RefuseSharedOrderTest, PartsThatLieTogether) {
  const SharedMappings tasks[] = {{2, {11, 11, 12}}, {3, {11, 11, 11, 12}}};
  EXPECT_THAT(RefuseSharedOrder(tasks), IsEmpty());
}

TEST(RefuseSharedOrderTest, TheMakerHasItOnBothSidesOfAnother) {
  const SharedMappings tasks[] = {{2, {11, 12, 11}}, {3, {11, 12}}};
  EXPECT_THAT(RefuseSharedOrder(tasks), IsEmpty());
}

TEST(RefuseSharedOrderTest, OnBothSidesOfAnother) {
  // Seen: stock criu 4.1.1 hangs.
  const SharedMappings tasks[] = {{2, {14, 15, 13, 15}}, {3, {14, 15, 13, 15}}};
  EXPECT_THAT(RefuseSharedOrder(tasks), ElementsAre(Of(2), Of(3)));
}

TEST(RefuseSharedOrderTest, InAnotherOrder) {
  const SharedMappings tasks[] = {{2, {11, 12}}, {3, {12, 11}}, {4, {11, 12}}};
  EXPECT_THAT(RefuseSharedOrder(tasks), ElementsAre(Of(2), Of(3), Of(4)));
}

TEST(RefuseSharedOrderTest, ThePidDecidesNotThePlaceInTheTree) {
  const SharedMappings tasks[] = {{9, {11, 12}}, {3, {11, 12}}};
  EXPECT_THAT(RefuseSharedOrder(tasks), IsEmpty());
}

}  // namespace
}  // namespace dumpctl
