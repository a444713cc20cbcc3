#include "dump/image/image_archive.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "dump/image/image_directory.h"
#include "dump/image/outlet.h"
#include "dump/image/page_sink.h"
#include "dump/image/tar_header.h"
#include "dump/image/unpack_archive.h"
#include "dumpctl/failure.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/inventory.pb.h"
#include "test/temporary_directory.h"

namespace dumpctl {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

constexpr absl::Duration kPatience = absl::Seconds(20);

class ImageArchiveTest : public testing::Test {
 protected:
  ImageArchiveTest() { std::filesystem::create_directory(directory_); }

  static std::vector<std::string> NamesIn(const std::string& directory) {
    return TemporaryDirectory::NamesIn(directory);
  }
  static std::string Contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  absl::StatusOr<Unpacked> Unpack(const std::string& bytes) const {
    std::ofstream(path_ + "/given.tar", std::ios::binary) << bytes;
    const UniqueFd file(open((path_ + "/given.tar").c_str(), O_RDONLY | O_CLOEXEC));
    return UnpackArchive(BorrowedFd(file), directory_, false);
  }
  void ExpectRefused(const std::string& bytes, const char* why) const {
    const auto unpacked = Unpack(bytes);
    EXPECT_EQ(FailureOf(unpacked.status()), Failure::kBadImage) << unpacked.status();
    EXPECT_THAT(std::string(unpacked.status().message()), HasSubstr(why));
    EXPECT_THAT(NamesIn(directory_), UnorderedElementsAre());
  }

  const TemporaryDirectory place_;
  const std::string path_ = place_.path();
  const std::string directory_ = place_.Path("images");
  const std::string archive_ = place_.Path("dump.tar");
};

ImageWriter InventoryImage() {
  ImageWriter image(ImageKind::kInventory);
  image::inventory_entry entry;
  entry.set_img_version(2);
  EXPECT_TRUE(image.Add(entry).ok());
  return image;
}

std::string Entry(const std::string& name, const std::string& bytes, char type = '0') {
  std::string header = TarHeader(name, bytes.size(), absl::UnixEpoch());
  if (type != '0') {
    // The sum of all bytes is part of it.
    header[156] = type;
    const auto sum = std::strtoul(header.c_str() + 148, nullptr, 8) + (type - '0');
    snprintf(header.data() + 148, 7, "%06lo", sum);
  }
  return header + bytes + TarPadding(bytes.size());
}

// Pages of two objects, a file in pieces, and an inventory that is written first.
std::string WriteArchive(const std::string& path) {
  auto archive = ImageArchive::Open(path, kPatience, {});
  EXPECT_TRUE(archive.ok()) << archive.status();
  EXPECT_TRUE((*archive)->Write(InventoryImage()).ok());
  EXPECT_TRUE((*archive)->BeginPages(1, {}, 2 * kImagePageSize).ok());
  auto block = (*archive)->TakeBlock();
  EXPECT_TRUE(block.ok()) << block.status();
  block->used = 2 * kImagePageSize;
  std::memset(block->bytes.get(), 'p', block->used);
  EXPECT_TRUE((*archive)->Put({}, *std::move(block)).ok());
  EXPECT_TRUE((*archive)->BeginPages(2, {}, 0).ok());
  auto file = (*archive)->CreateFile("ghost-file-1.img", 5);
  EXPECT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE((*file)->Append("ab").ok());
  EXPECT_TRUE((*file)->Append("cde").ok());
  EXPECT_EQ((*file)->Append("f").code(), absl::StatusCode::kInternal);
  EXPECT_FALSE(std::filesystem::exists(path)) << "visible before the commit";
  const absl::Status committed = (*archive)->Commit(true);
  EXPECT_TRUE(committed.ok()) << committed;
  return path;
}

TEST_F(ImageArchiveTest, IsUnpackedAsItWasWritten) {
  const std::string bytes = Contents(WriteArchive(archive_));
  EXPECT_THAT(NamesIn(path_), UnorderedElementsAre("images", "dump.tar"));
  EXPECT_EQ(bytes.find("inventory.img"), bytes.size() - 4 * kTarRecord) << "it is not the last";
  const auto unpacked = Unpack(bytes);
  ASSERT_TRUE(unpacked.ok()) << unpacked.status();
  EXPECT_EQ(unpacked->images, 4u);
  EXPECT_THAT(NamesIn(directory_), UnorderedElementsAre("pages-1.img", "pages-2.img",
                                                        "ghost-file-1.img", "inventory.img"));
  EXPECT_EQ(Contents(directory_ + "/pages-1.img"), std::string(2 * kImagePageSize, 'p'));
  EXPECT_EQ(Contents(directory_ + "/pages-2.img"), "");
  EXPECT_EQ(Contents(directory_ + "/ghost-file-1.img"), "abcde");
  EXPECT_EQ(Contents(directory_ + "/inventory.img"), InventoryImage().bytes());
}

TEST_F(ImageArchiveTest, CarriesParentImages) {
  {
    auto archive = ImageArchive::Open(archive_, kPatience, {});
    ASSERT_TRUE(archive.ok()) << archive.status();
    ASSERT_TRUE((*archive)->can_have_parent());
    const auto sink = (*archive)->CreatePagesInParent(1);
    ASSERT_TRUE(sink.ok()) << sink.status();
    EXPECT_TRUE(sink->stream()->BeginPages(1, {}, 0).ok());
    const std::string also[] = {"pagemap-8.img"};
    EXPECT_TRUE((*archive)->WriteInParent(ImageWriter(ImageKind::kPagemap, 7), also).ok());
    EXPECT_TRUE((*archive)->Write(InventoryImage()).ok());
    EXPECT_TRUE((*archive)->Commit(false).ok());
  }
  const std::string bytes = Contents(archive_);
  ASSERT_TRUE(Unpack(bytes).ok());
  EXPECT_THAT(NamesIn(directory_), UnorderedElementsAre("inventory.img", "parent"));
  EXPECT_THAT(NamesIn(directory_ + "/parent"),
              UnorderedElementsAre("pages-1.img", "pagemap-7.img", "pagemap-8.img"));
  // And no more than that: what is there of another kind stays.
  const std::string inventory = Entry("inventory.img", "inventory");
  for (const char* name :
       {"parent/notes", "parent/../x.img", "parent/a/pages-1.img", "parent//x"}) {
    const auto refused = Unpack(Entry(name, "") + inventory + TarEnd());
    EXPECT_EQ(FailureOf(refused.status()), Failure::kBadImage) << name << refused.status();
  }
  std::ofstream(directory_ + "/parent/notes") << "mine";
  EXPECT_EQ(FailureOf(Unpack(bytes).status()), Failure::kBadImage);
  EXPECT_EQ(Contents(directory_ + "/parent/notes"), "mine");
}

// With a name of any length, as GNU tar has it.
std::string LongEntry(const std::string& name, const std::string& bytes) {
  return Entry("././@LongLink", name + '\0', 'L') + Entry(name.substr(0, 99), bytes);
}

std::string ParentLevels(int levels) {
  std::string path;
  for (int level = 0; level < levels; ++level) path += "parent/";
  return path;
}

TEST_F(ImageArchiveTest, TakesParentsOfParentsAsTarWritesThem) {
  const std::string bytes = Entry("./", "", '5') + Entry("./inventory.img", "inventory") +
                            Entry("./parent/", "", '5') + Entry("./parent/parent/", "", '5') +
                            Entry("./parent/parent/pagemap-7.img", "older") +
                            Entry("./parent/parent/parent", "", '5') +
                            Entry("./parent/parent/parent/pagemap-7.img", "oldest") +
                            Entry("./parent/pagemap-7.img", "old");
  ASSERT_TRUE(Unpack(bytes + TarEnd()).ok());
  EXPECT_THAT(NamesIn(directory_), UnorderedElementsAre("inventory.img", "parent"));
  EXPECT_THAT(NamesIn(directory_ + "/parent"), UnorderedElementsAre("pagemap-7.img", "parent"));
  EXPECT_EQ(Contents(directory_ + "/parent/pagemap-7.img"), "old");
  EXPECT_EQ(Contents(directory_ + "/parent/parent/pagemap-7.img"), "older");
  EXPECT_EQ(Contents(directory_ + "/parent/parent/parent/pagemap-7.img"), "oldest");

  // The next one takes all of that away, and may have as many levels as there can be.
  const std::string deepest = ParentLevels(16) + "pages-1.img";
  ASSERT_TRUE(Unpack(LongEntry(deepest, "pages") + Entry("inventory.img", "") + TarEnd()).ok());
  EXPECT_THAT(NamesIn(directory_ + "/parent"), UnorderedElementsAre("parent"));
  EXPECT_EQ(Contents(directory_ + "/" + deepest), "pages");
}

TEST_F(ImageArchiveTest, RefusesWhatElseThereIsAmongParentsOfParents) {
  // Nothing is left of what comes first, either.
  const std::string begun = Entry("parent/parent/pages-1.img", "pages");
  const std::string rest = Entry("inventory.img", "inventory") + TarEnd();
  ExpectRefused(begun + TarEnd(), "holds no inventory.img");
  for (const char* name :
       {"parent/parent/notes", "parent/parent/../x.img", "parent/../parent/x.img",
        "parent/a/parent/pages-2.img", "a/parent/pages-2.img", "/parent/parent/pages-2.img",
        "parent//parent/pages-2.img", "parent/parent//pages-2.img", "parent/./pages-2.img",
        "././parent/pages-2.img", "parent/parents/pages-2.img", "parent/parent"}) {
    ExpectRefused(begun + Entry(name, "") + rest, "whose name is none of an image");
  }
  ExpectRefused(begun + LongEntry(ParentLevels(17) + "pages-1.img", "") + rest,
                "whose name is none of an image");
  ExpectRefused(begun + Entry("./parent/parent/pages-1.img", "") + rest, "twice");
  for (const char type : {'1', '2', '3', '6'}) {
    ExpectRefused(begun + Entry("parent/parent/core-1.img", "", type) + rest, "no regular file");
    ExpectRefused(begun + Entry("parent/parent/parent", "", type) + rest, "no regular file");
  }
  for (const char* name : {"parent/other/", "parent/parent/..", "/parent/", "", "/", "./."}) {
    ExpectRefused(begun + Entry(name, "", '5') + rest, "no regular file");
  }
}

TEST_F(ImageArchiveTest, IsNoDumpWhenItIsCutShortAnywhere) {
  const std::string bytes = Contents(WriteArchive(archive_));
  for (size_t size = 0; size < bytes.size(); size += kTarRecord / 2) {
    ExpectRefused(bytes.substr(0, size), "the archive ");
  }
}

TEST_F(ImageArchiveTest, LeavesNothingAndWhatWasThereWithoutACommit) {
  std::ofstream(archive_) << "earlier";
  {
    auto archive = ImageArchive::Open(archive_, kPatience, {});
    ASSERT_TRUE(archive.ok()) << archive.status();
    ASSERT_TRUE((*archive)->BeginPages(1, {}, 0).ok());
    EXPECT_EQ((*archive)->Commit(false).code(), absl::StatusCode::kInternal);
  }
  EXPECT_EQ(Contents(archive_), "earlier");
  EXPECT_THAT(NamesIn(path_), UnorderedElementsAre("images", "dump.tar"));
}

TEST_F(ImageArchiveTest, RefusesWhatIsNoArchiveOfADump) {
  const std::string inventory = Entry("inventory.img", "inventory");
  ExpectRefused("", "the archive");
  ExpectRefused(std::string(10000, 'x'), "cannot be read");
  ExpectRefused(Entry("pstree.img", "tree") + TarEnd(), "holds no inventory.img");
  for (const char* name : {"../x.img", "/etc/x.img", "a/b.img", ".hidden", "..", "a b.img"}) {
    ExpectRefused(Entry(name, "bytes") + inventory + TarEnd(), "whose name is none of an image");
  }
  for (const char type : {'1', '2', '3', '5', '6'}) {
    ExpectRefused(Entry("core-1.img", "", type) + inventory + TarEnd(), "is no regular file");
  }
  ExpectRefused(inventory + inventory + TarEnd(), "twice");
}

TEST_F(ImageArchiveTest, ReplacesAnEarlierDumpAndNothingElse) {
  std::ofstream(directory_ + "/inventory.img") << "old";
  std::ofstream(directory_ + "/core-99.img") << "old";
  std::ofstream(directory_ + "/notes") << "mine";
  const std::string inventory = Entry("./inventory.img", "inventory");
  const auto refused = Unpack(Entry("notes", "theirs") + inventory + TarEnd());
  EXPECT_EQ(FailureOf(refused.status()), Failure::kBadImage) << refused.status();
  EXPECT_EQ(Contents(directory_ + "/inventory.img"), "old");
  const auto unpacked = Unpack(Entry("./", "", '5') + inventory + Entry("log", "") + TarEnd());
  ASSERT_TRUE(unpacked.ok()) << unpacked.status();
  EXPECT_THAT(NamesIn(directory_), UnorderedElementsAre("inventory.img", "log", "notes"));
  EXPECT_EQ(Contents(directory_ + "/notes"), "mine");
}

TEST(TarHeaderTest, TellsSizesThatOctalDigitsCannot) {
  const std::string eight_gib = TarHeader("pages-1.img", uint64_t{8} << 30, absl::UnixEpoch());
  EXPECT_EQ(eight_gib.substr(124, 12), std::string("\x80\0\0\0\0\0\0\x02\0\0\0\0", 12));
  const std::string less = TarHeader("pages-1.img", (uint64_t{8} << 30) - 1, absl::UnixEpoch());
  EXPECT_EQ(less.substr(124, 12), std::string("77777777777\0", 12));
}

class OutletTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(GetParam() ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)
                         : pipe2(ends, O_CLOEXEC),
              0);
    in_.Reset(ends[1]);
    out_.Reset(ends[0]);
    signal(SIGPIPE, SIG_IGN);
  }
  absl::StatusOr<Outlet> OpenOutlet(absl::Duration patience) const {
    return Outlet::Open(BorrowedFd(in_), "the test", patience);
  }

  UniqueFd in_;
  UniqueFd out_;
};

TEST_P(OutletTest, AReaderThatStandsStillEndsIt) {
  auto outlet = OpenOutlet(absl::Milliseconds(50));
  ASSERT_TRUE(outlet.ok()) << outlet.status();
  EXPECT_EQ(FailureOf(outlet->Write(std::string(16 << 20, 'x'))), Failure::kTimeout);
  EXPECT_EQ(FailureOf(outlet->AwaitTaken({})), Failure::kTimeout);
}

TEST_P(OutletTest, AReaderThatEndsIsTold) {
  auto outlet = OpenOutlet(kPatience);
  ASSERT_TRUE(outlet.ok()) << outlet.status();
  ASSERT_TRUE(outlet->Write("unread").ok());
  out_.Reset();
  EXPECT_EQ(FailureOf(outlet->Write("more")), Failure::kPeer);
  if (!GetParam()) {
    EXPECT_EQ(FailureOf(outlet->AwaitTaken({})), Failure::kPeer);
    EXPECT_EQ(FailureOf(OpenOutlet(kPatience).status()), Failure::kPeer);
  }
}

TEST_P(OutletTest, AReaderThatHasTakenAllMayEnd) {
  auto outlet = OpenOutlet(kPatience);
  ASSERT_TRUE(outlet.ok()) << outlet.status();
  ASSERT_TRUE(outlet->Write("read").ok());
  char bytes[8];
  ASSERT_EQ(read(out_.get(), bytes, sizeof bytes), 4);
  out_.Reset();
  const absl::Status taken = outlet->AwaitTaken({});
  EXPECT_TRUE(taken.ok()) << taken;
}

INSTANTIATE_TEST_SUITE_P(PipeAndSocket, OutletTest, testing::Bool());

}  // namespace
}  // namespace dumpctl
