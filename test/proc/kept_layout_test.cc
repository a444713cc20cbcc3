#include "proc/kept_layout.h"

#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "test/temporary_directory.h"

namespace dumpctl {
namespace {

struct TwoPlaces {
  uint32_t first = 0;
  uint32_t second = 0;
};

int searches = 0;

absl::StatusOr<TwoPlaces> Search(std::string_view btf) {
  ++searches;
  if (btf.empty()) return absl::DataLossError("no BTF");
  return TwoPlaces{11, 22};
}

class KeptLayoutTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!KernelBtf::Open().ok()) GTEST_SKIP() << "this kernel has no BTF";
    searches = 0;
  }

  void ExpectFound(int searches_since) {
    const int before = searches;
    const auto found = KeptLayout("two", Search, LayoutStore(directory_));
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->first, 11u);
    EXPECT_EQ(found->second, 22u);
    EXPECT_EQ(searches - before, searches_since);
  }

  std::string Bytes() const {
    std::ifstream file(kept_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  void Write(const std::string& bytes) const {
    std::ofstream(kept_, std::ios::binary | std::ios::trunc) << bytes;
  }

  const TemporaryDirectory place_;
  const std::string directory_ = place_.path() + "/kept";
  const std::string kept_ = directory_ + "/two";
};

TEST_F(KeptLayoutTest, IsSearchedForOnce) {
  EXPECT_TRUE(LayoutStore(directory_).Keeps());
  ExpectFound(1);
  ExpectFound(0);
  EXPECT_EQ(LayoutStore(directory_).Find("two", sizeof(TwoPlaces))->size(), sizeof(TwoPlaces));
  EXPECT_EQ(LayoutStore(directory_).Find("three", sizeof(TwoPlaces)), std::nullopt);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_), {}), 1);
}

TEST_F(KeptLayoutTest, IsNotThatOfAnotherProgramOrKernel) {
  ExpectFound(1);
  const std::string bytes = Bytes();
  ASSERT_EQ(bytes.size(), 20 + 20 + sizeof "two" + sizeof(TwoPlaces));
  for (const size_t at : {0, 19, 20, 39}) {
    std::string other = bytes;
    other[at] = static_cast<char>(other[at] ^ 1);
    Write(other);
    ExpectFound(1);
    EXPECT_EQ(Bytes(), bytes);
    ExpectFound(0);
  }
}

TEST_F(KeptLayoutTest, IsNotThatOfAnotherName) {
  ExpectFound(1);
  std::filesystem::rename(kept_, directory_ + "/owt");
  EXPECT_EQ(LayoutStore(directory_).Find("owt", sizeof(TwoPlaces)), std::nullopt);
}

TEST_F(KeptLayoutTest, IsWholeOrSearchedForAgain) {
  ExpectFound(1);
  const std::string bytes = Bytes();
  for (const std::string& other : {std::string(), bytes.substr(0, bytes.size() - 1), bytes + "x",
                                   std::string(bytes.size(), '\0')}) {
    Write(other);
    ExpectFound(1);
  }
}

TEST_F(KeptLayoutTest, IsTakenFromNobodyElse) {
  ExpectFound(1);
  for (const mode_t mode : {0620, 0602}) {
    ASSERT_EQ(chmod(kept_.c_str(), mode), 0);
    ExpectFound(1);
    ExpectFound(0);  // it is another file
  }
  if (geteuid() == 0) {
    ASSERT_EQ(chown(kept_.c_str(), 1000, 0), 0);
    ExpectFound(1);
    ExpectFound(0);
  }
  for (const mode_t mode : {0770, 0707}) {
    ASSERT_EQ(chmod(directory_.c_str(), mode), 0);
    ExpectFound(1);
    ExpectFound(1);  // nor is anything put there
  }
  ASSERT_EQ(chmod(directory_.c_str(), 0700), 0);
  ExpectFound(0);
  const std::string elsewhere = place_.path() + "/elsewhere";
  std::filesystem::rename(kept_, elsewhere);
  std::filesystem::create_symlink(elsewhere, kept_);
  ExpectFound(1);
  EXPECT_FALSE(std::filesystem::is_symlink(kept_));
  ExpectFound(0);
}

TEST_F(KeptLayoutTest, IsSearchedForWhereNothingCanBeKept) {
  std::ofstream(directory_) << "no directory";
  EXPECT_FALSE(LayoutStore(directory_).Keeps());
  ExpectFound(1);
  ExpectFound(1);
}

TEST_F(KeptLayoutTest, WhatIsNotFoundIsNotKept) {
  const auto none =
      +[](std::string_view) -> absl::StatusOr<TwoPlaces> { return absl::NotFoundError("none"); };
  EXPECT_EQ(KeptLayout("two", none, LayoutStore(directory_)).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(kept_));
}

}  // namespace
}  // namespace dumpctl
