#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "dump/image/image_writer.h"
#include "dumpctl/failure.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/inventory.pb.h"
#include "proto/mm.pb.h"
#include "test/cli/program.h"
#include "test/temporary_directory.h"

namespace dumpctl {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class ShowCommandTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, std::string_view bytes) {
    return place_.Write(name, bytes);
  }

  // A pagemap with its head alone.
  std::string Pagemap() {
    ImageWriter image(ImageKind::kPagemap, 7);
    image::pagemap_head head;
    head.set_pages_id(3);
    EXPECT_TRUE(image.Add(head).ok());
    return image.bytes();
  }

  // Expects one line of error that begins with the path and `what`, no output, and kBadImage.
  void ExpectRefused(const std::string& path, const std::string& named, const std::string& what) {
    const ProgramRun run = RunDumpctl({"show", path});
    EXPECT_EQ(run.exit_code, static_cast<int>(Failure::kBadImage));
    EXPECT_EQ(run.out, "");
    EXPECT_THAT(run.err, StartsWith("dumpctl: " + named));
    EXPECT_THAT(run.err, HasSubstr(what));
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
    EXPECT_EQ(RunDumpctl({"show", "--json", path}).err, run.err);
  }

  const TemporaryDirectory place_;
  const std::string directory_ = place_.path();
};

TEST_F(ShowCommandTest, ShowsAnImageByItsMagicWhateverItsName) {
  const std::string path = Write("anything", Pagemap());
  const ProgramRun text = RunDumpctl({"show", path});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_EQ(text.out, path + ": PAGEMAP, 1 entry\n  pages_id 3\n");
  const ProgramRun json = RunDumpctl({"show", path, "--json"});
  EXPECT_EQ(json.exit_code, 0) << json.err;
  EXPECT_EQ(json.out, "{\"magic\":\"PAGEMAP\",\"entries\":[{\"pages_id\":3}]}\n");
}

TEST_F(ShowCommandTest, ShowsAllImagesOfADirectoryAndNothingElse) {
  Write("pagemap-7.img", Pagemap());
  Write("pages-3.img", std::string(8192, 'p'));
  Write("utsns-11.img", "\x19\x43\x56\x54\x03\x32\x47\x54xyz");
  Write("dump.log", "no image");
  const ProgramRun json = RunDumpctl({"show", "--json", directory_});
  ASSERT_EQ(json.exit_code, 0) << json.err;
  EXPECT_EQ(json.out, R"({"pagemap-7.img":{"magic":"PAGEMAP","entries":[{"pages_id":3}]},)"
                      R"("pages-3.img":{"bytes":8192},"utsns-11.img":{"magic":"UTSNS","bytes":11}})"
                      "\n");
  const ProgramRun text = RunDumpctl({"show", directory_});
  ASSERT_EQ(text.exit_code, 0) << text.err;
  EXPECT_EQ(text.out, directory_ + "/pagemap-7.img: PAGEMAP, 1 entry\n  pages_id 3\n\n" +
                          directory_ + "/pages-3.img: raw, 8192 bytes\n\n" + directory_ +
                          "/utsns-11.img: UTSNS, not decoded, 11 bytes\n");
}

// Stock restore leaves its statistics beside the images.
TEST_F(ShowCommandTest, ShowsTheStatisticsOfARestore) {
  ImageWriter stats(ImageKind::kRestoreStats);
  EXPECT_EQ(stats.name(), "stats-restore");
  image::stats_entry entry;
  entry.mutable_restore()->set_pages_compared(1);
  entry.mutable_restore()->set_pages_skipped_cow(2);
  entry.mutable_restore()->set_forking_time(3);
  entry.mutable_restore()->set_restore_time(4);
  ASSERT_TRUE(stats.Add(entry).ok());
  Write(stats.name(), stats.bytes());
  const ProgramRun json = RunDumpctl({"show", "--json", directory_});
  ASSERT_EQ(json.exit_code, 0) << json.err;
  EXPECT_EQ(json.out, R"({"stats-restore":{"magic":"STATS","entries":[{"restore":)"
                      R"({"pages_compared":1,"pages_skipped_cow":2,"forking_time":3,)"
                      R"("restore_time":4}}]}})"
                      "\n");
}

TEST_F(ShowCommandTest, RefusesWhatIsNoImage) {
  const std::string text = Write("text.img", "some text\n");
  ExpectRefused(text, text, "at byte 0: 0x656d6f73 is no image's magic");
  const std::string strange = Write("strange.img", std::string("\x19\x43\x56\x54\x01\0\0\0", 8));
  ExpectRefused(strange, strange, "at byte 4: 0x00000001 is no image's magic");
  const std::string empty = Write("empty.img", "");
  ExpectRefused(empty, empty, "at byte 0: a magic of 4 bytes, but the image ends after 0");
  const std::string missing = directory_ + "/missing.img";
  ExpectRefused(missing, missing, "No such file or directory");
  ExpectRefused("/dev/null", "/dev/null", "is no regular file");
}

TEST_F(ShowCommandTest, RefusesACutImage) {
  const std::string whole = Pagemap();
  for (size_t size = 9; size < whole.size(); ++size) {
    const std::string cut = Write("cut.img", whole.substr(0, size));
    ExpectRefused(cut, cut, "at byte 8:");
  }
}

TEST_F(ShowCommandTest, RefusesAKindItCannotDecodeByItsName) {
  const std::string path = Write("utsns-11.img", "\x19\x43\x56\x54\x03\x32\x47\x54xyz");
  ExpectRefused(path, path, "images of type UTSNS cannot be read");
}

TEST_F(ShowCommandTest, RefusesADirectoryWithoutImages) {
  Write("dump.log", "no image");
  ExpectRefused(directory_, directory_, "no images are in this directory");
}

TEST_F(ShowCommandTest, PrintsNothingOfADirectoryWithABadImage) {
  Write("pagemap-7.img", Pagemap());
  const std::string bad = Write("pstree.img", "bad!");
  ExpectRefused(directory_, bad, "at byte 0:");
}

TEST_F(ShowCommandTest, AFullDiskIsNotPassedOver) {
  const std::string path = Write("pagemap-7.img", Pagemap());
  const ProgramRun run = RunDumpctl({"show", path}, [] {
    if (std::freopen("/dev/full", "w", stdout) == nullptr) _exit(126);
  });
  EXPECT_EQ(run.exit_code, static_cast<int>(Failure::kInternal));
  EXPECT_EQ(run.err, "dumpctl: cannot write to stdout: No space left on device\n");
}

TEST_F(ShowCommandTest, AsksForAPath) {
  EXPECT_EQ(RunDumpctl({"show"}).exit_code, static_cast<int>(Failure::kUsage));
  EXPECT_EQ(RunDumpctl({"show", "a", "b"}).exit_code, static_cast<int>(Failure::kUsage));
}

}  // namespace
}  // namespace dumpctl
