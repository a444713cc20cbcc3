#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "dump/image/image_directory.h"
#include "dump/image/page_sink.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/inventory.pb.h"
#include "test/temporary_directory.h"

namespace dumpctl {
namespace {

using ::testing::UnorderedElementsAre;

ImageWriter AnyInventory() {
  ImageWriter image(ImageKind::kInventory);
  image::inventory_entry entry;
  entry.set_img_version(2);
  EXPECT_TRUE(image.Add(entry).ok());
  return image;
}

class ParentLevelsTest : public testing::TestWithParam<bool> {
 protected:
  absl::StatusOr<ImageDirectory> Open() const {
    return GetParam() ? ImageDirectory::OpenInPlace(place_.path())
                      : ImageDirectory::Open(place_.path());
  }

  // Pages in the nearest parent images.
  static PageSink AddPages(ImageDirectory& directory, uint32_t number, const std::string& bytes) {
    auto sink = directory.CreatePagesInParent(number);
    EXPECT_TRUE(sink.ok()) << sink.status();
    EXPECT_EQ(write(sink->file().get(), bytes.data(), bytes.size()),
              static_cast<ssize_t>(bytes.size()));
    return *std::move(sink);
  }

  const TemporaryDirectory place_;
};

TEST_P(ParentLevelsTest, WhatWasThereBecomesTheParentOfWhatComes) {
  {
    auto directory = Open();
    ASSERT_TRUE(directory.ok()) << directory.status();
    const PageSink first = AddPages(*directory, 1, "the first");
    ASSERT_TRUE(directory->DeepenParent().ok());
    const PageSink second = AddPages(*directory, 2, "the second");
    ASSERT_TRUE(directory->DeepenParent().ok());
    const PageSink third = AddPages(*directory, 3, "the third");
    // Its file is where it is written to.
    ASSERT_EQ(write(first.file().get(), ", on", 4), 4);
    const ImageWriter pagemap(ImageKind::kPagemap, 7);
    EXPECT_TRUE(directory->WriteInParent(pagemap, {}).ok());
    EXPECT_TRUE(directory->WriteInAncestor(1, pagemap).ok());
    EXPECT_TRUE(directory->WriteInAncestor(2, pagemap).ok());
    EXPECT_TRUE(absl::IsInternal(directory->WriteInAncestor(3, pagemap)));
    ASSERT_TRUE(directory->Write(AnyInventory()).ok());
    ASSERT_TRUE(directory->Commit(/*sync=*/false).ok());
  }
  EXPECT_THAT(place_.Names(), UnorderedElementsAre("inventory.img", "parent"));
  EXPECT_EQ(place_.Contents("parent/pages-3.img"), "the third");
  EXPECT_EQ(place_.Contents("parent/parent/pages-2.img"), "the second");
  EXPECT_EQ(place_.Contents("parent/parent/parent/pages-1.img"), "the first, on");
  for (const char* level : {"parent", "parent/parent", "parent/parent/parent"}) {
    EXPECT_EQ(access((place_.path() + "/" + level + "/pagemap-7.img").c_str(), F_OK), 0) << level;
  }

  // The next dump takes all of it away.
  auto next = Open();
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_TRUE(next->can_have_parent());
  ASSERT_TRUE(next->Write(AnyInventory()).ok());
  ASSERT_TRUE(next->Commit(/*sync=*/false).ok());
  EXPECT_THAT(place_.Names(), UnorderedElementsAre("inventory.img"));
}

TEST_P(ParentLevelsTest, NothingIsLeftOfADumpThatFails) {
  {
    auto directory = Open();
    ASSERT_TRUE(directory.ok()) << directory.status();
    AddPages(*directory, 1, "the first");
    ASSERT_TRUE(directory->DeepenParent().ok());
    AddPages(*directory, 2, "the second");
  }
  EXPECT_THAT(place_.Names(), UnorderedElementsAre());
}

INSTANTIATE_TEST_SUITE_P(InPlace, ParentLevelsTest, testing::Bool());

// What else somebody has put deep among them keeps the whole from being taken for images.
TEST(ImagesOnlyTest, LooksIntoParentsOfParents) {
  const TemporaryDirectory place;
  std::filesystem::create_directories(place.path() + "/parent/parent");
  auto directory = ImageDirectory::Open(place.path());
  ASSERT_TRUE(directory.ok()) << directory.status();
  EXPECT_TRUE(directory->can_have_parent());
  std::ofstream(place.path() + "/parent/parent/letter") << "dear";
  EXPECT_FALSE(directory->can_have_parent());
}

}  // namespace
}  // namespace dumpctl
