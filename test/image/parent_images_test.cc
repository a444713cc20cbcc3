#include "dump/image/parent_images.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "dump/image/dedup.h"
#include "dump/image/image_writer.h"
#include "dump/image/page_sink.h"
#include "dumpctl/failure.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/inventory.pb.h"
#include "proto/mm.pb.h"
#include "test/temporary_directory.h"

namespace dumpctl {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kBase = 0x10000;

// A letter a page: what one run after the other is. P present, p in the parent, l lazy.
ImageWriter Pagemap(uint32_t pages_id, const std::string& pages) {
  ImageWriter image(ImageKind::kPagemap, 7);
  image::pagemap_head head;
  head.set_pages_id(pages_id);
  EXPECT_TRUE(image.Add(head).ok());
  for (size_t i = 0; i < pages.size(); ++i) {
    if (pages[i] == '-') continue;
    image::pagemap_entry entry;
    entry.set_vaddr(kBase + i * kImagePageSize);
    entry.set_compat_nr_pages(1);
    entry.set_flags(pages[i] == 'P' ? 4 : pages[i] == 'p' ? 1 : 2);
    EXPECT_TRUE(image.Add(entry).ok());
  }
  return image;
}

class ParentImagesTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return place_.Path(name); }

  void Put(const std::string& directory, const std::string& name, const std::string& bytes) {
    std::filesystem::create_directories(Path(directory));
    std::ofstream(Path(directory) + "/" + name, std::ios::binary) << bytes;
  }

  // Images of process 7, with pages of its memory.
  void MakeImages(const std::string& directory, const std::string& pages,
                  const std::string& parent = "") {
    ImageWriter inventory(ImageKind::kInventory);
    image::inventory_entry entry;
    entry.set_img_version(2);
    entry.set_dump_criu_run_id("run of " + directory);
    EXPECT_TRUE(inventory.Add(entry).ok());
    Put(directory, "inventory.img", inventory.bytes());
    Put(directory, "pagemap-7.img", Pagemap(3, pages).bytes());
    const auto present = std::count(pages.begin(), pages.end(), 'P');
    Put(directory, "pages-3.img", std::string(present * kImagePageSize, 'x'));
    if (!parent.empty()) std::filesystem::create_symlink(parent, Path(directory) + "/parent");
  }

  // Which pages of a pages file are there: x, or . where there is a hole.
  std::string Held(const std::string& directory, const std::string& name = "pages-3.img") {
    std::ifstream file(Path(directory) + "/" + name, std::ios::binary);
    std::string held;
    for (char page[kImagePageSize]; file.read(page, sizeof page);) held += page[9] == 0 ? '.' : 'x';
    return held;
  }

  // Which of the pages of process 7 stand in a directory, or above it: x.
  std::string Standing(const std::string& directory, size_t pages) {
    const auto found = StandingPagesOf(Path(directory), "pagemap-7.img");
    if (!found.ok() || !*found) return "none";
    std::string standing(pages, '.');
    for (const PageRun& run : (*found)->runs) {
      const uint64_t first = (run.start - RemoteAddress(kBase)) / kImagePageSize;
      for (uint64_t i = first; i < first + run.pages; ++i) standing.at(i) = 'x';
    }
    return (*found)->whole ? standing + " whole" : standing;
  }

  absl::Status OpenStatus(const std::string& directory, const std::string& path) {
    return ParentImages::Open(Path(directory), path).status();
  }

  const TemporaryDirectory place_;
};

TEST_F(ParentImagesTest, ReadsAPagemap) {
  const auto pagemap = ReadPagemap("pagemap-7.img", Pagemap(3, "PP-plP").bytes());
  ASSERT_TRUE(pagemap.ok()) << pagemap.status();
  EXPECT_EQ(pagemap->pages_id, 3u);
  ASSERT_EQ(pagemap->runs.size(), 4u);
  EXPECT_EQ(pagemap->runs[1].offset, kImagePageSize);
  EXPECT_TRUE(pagemap->runs[2].in_parent);
  EXPECT_EQ(pagemap->runs[3].start.value(), kBase + 5 * kImagePageSize);
  EXPECT_EQ(pagemap->runs[3].offset, 2 * kImagePageSize);
}

TEST_F(ParentImagesTest, RefusesAPagemapThatIsNone) {
  ImageWriter twice(ImageKind::kPagemap, 7);
  image::pagemap_head head;
  head.set_pages_id(1);
  ASSERT_TRUE(twice.Add(head).ok());
  for (int i = 0; i < 2; ++i) {
    image::pagemap_entry entry;
    entry.set_vaddr(kBase);
    entry.set_compat_nr_pages(1);
    entry.set_flags(4);
    ASSERT_TRUE(twice.Add(entry).ok());
  }
  for (const std::string& bytes :
       {std::string("no image"), twice.bytes(), ImageWriter(ImageKind::kPagemap, 7).bytes(),
        ImageWriter(ImageKind::kInventory).bytes()}) {
    EXPECT_EQ(FailureOf(ReadPagemap("pagemap-7.img", bytes).status()), Failure::kBadImage);
  }
}

TEST_F(ParentImagesTest, FindsThemBesideTheImages) {
  MakeImages("1", "PPP");
  MakeImages("2", "");
  const auto parent = ParentImages::Open(Path("2"), "../1");
  ASSERT_TRUE(parent.ok()) << parent.status();
  EXPECT_EQ(parent->run_id(), "run of 1");
  EXPECT_EQ(parent->path(), "../1");
  const auto pages = parent->Pages(ImageKind::kPagemap, 7);
  ASSERT_TRUE(pages.ok() && *pages);
  EXPECT_EQ(PagesOf((*pages)->runs), 3u);
  EXPECT_TRUE((*pages)->whole);
  const auto none = parent->Pages(ImageKind::kPagemap, 8);
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(*none);
  EXPECT_TRUE(ParentImages::Open(Path("2"), Path("1")).ok());
}

TEST_F(ParentImagesTest, RefusesWhatCannotBeBuiltUpon) {
  MakeImages("1", "P");
  MakeImages("2", "P", "../1");
  Put("empty", "other", "");
  EXPECT_THAT(std::string(OpenStatus("2", "../none").message()), HasSubstr("No such file"));
  EXPECT_THAT(std::string(OpenStatus("2", "../1/inventory.img").message()),
              HasSubstr("Not a directory"));
  EXPECT_THAT(std::string(OpenStatus("2", "../empty").message()), HasSubstr("no dump"));
  EXPECT_THAT(std::string(OpenStatus("2", ".").message()), HasSubstr("overwrite"));
  EXPECT_THAT(std::string(OpenStatus("1", "../2").message()), HasSubstr("overwrite"));
  std::filesystem::create_symlink("../2", Path("1/parent"));
  EXPECT_THAT(std::string(OpenStatus("empty", "../2").message()), HasSubstr("upon itself"));
  EXPECT_EQ(FailureOf(OpenStatus("2", "../none")), Failure::kImagesDir);
}

TEST_F(ParentImagesTest, RefusesWhatTheNewImagesWouldReplace) {
  MakeImages("2/parent/parent", "P");
  MakeImages("2/parent", "P");
  MakeImages("1", "P", Path("link/parent"));
  std::filesystem::create_symlink("2/.", Path("link"));
  for (const std::string& path :
       {std::string("parent"), std::string("./parent//"), Path("2/parent"),
        std::string("parent/parent"), std::string("../1"), Path("link/parent/parent"),
        std::string("parent/../../1")}) {
    const absl::Status status = OpenStatus("2", path);
    EXPECT_EQ(FailureOf(status), Failure::kImagesDir) << path;
    EXPECT_THAT(std::string(status.message()), HasSubstr("would replace")) << path;
  }
  // Of others the same may stand where it likes.
  Put("3", "other", "");
  EXPECT_TRUE(OpenStatus("3", "../2/parent").ok());
  EXPECT_TRUE(OpenStatus("3", "../1").ok());
}

TEST_F(ParentImagesTest, RefusesTheWayThroughALinkThatTheNewImagesWouldReplace) {
  MakeImages("1", "P");
  MakeImages("2", "P", "../1");
  std::filesystem::create_symlink("2/parent", Path("link"));
  for (const char* path : {"parent", "../link", "parent/../1", "../1/../2/./parent"}) {
    EXPECT_THAT(std::string(OpenStatus("2", path).message()), HasSubstr("would replace")) << path;
  }
  EXPECT_TRUE(OpenStatus("2", "../1").ok());
  EXPECT_TRUE(OpenStatus("2", Path("1")).ok());
}

TEST_F(ParentImagesTest, FreesWhatIsWrittenAgain) {
  MakeImages("1", "PPPPP-P");
  MakeImages("2", "pPPpp-p", "../1");
  MakeImages("3", "PpPp-P", "../2");
  const auto freed = DedupParents(Path("3"));
  ASSERT_TRUE(freed.ok()) << freed.status();
  EXPECT_EQ(freed->directories, 2u);
  EXPECT_EQ(freed->pages, 1u + 3u);
  EXPECT_EQ(Held("1"), "...xxx");
  EXPECT_EQ(Held("2"), "x.");
  EXPECT_EQ(Held("3"), "xxx");
  EXPECT_TRUE(DedupParents(Path("3")).ok());
  EXPECT_EQ(Held("1"), "...xxx");
  EXPECT_EQ(DedupParents(Path("1"))->directories, 0u);
}

TEST_F(ParentImagesTest, FreesNothingThatAnotherDumpReads) {
  MakeImages("1", "PPPP");
  MakeImages("2", "pPpp", "../1");
  MakeImages("3", "PpPp", "../2");
  MakeImages("4", "P");
  const auto own = ParentImages::Open(Path("3"), "../2");
  ASSERT_TRUE(own.ok()) << own.status();
  {
    const auto other = ParentImages::Open(Path("4"), "../2");  // and 1, by that
    ASSERT_TRUE(other.ok()) << other.status();
    for (const ParentImages* mine : {static_cast<const ParentImages*>(nullptr), &*own}) {
      const absl::Status freed = DedupParents(Path("3"), mine).status();
      EXPECT_EQ(FailureOf(freed), Failure::kImagesDir) << freed;
      EXPECT_THAT(std::string(freed.message()), HasSubstr("another dump reads"));
    }
    EXPECT_EQ(FailureOf(DedupParents(Path("2")).status()), Failure::kImagesDir);
    EXPECT_EQ(Held("1"), "xxxx");
    EXPECT_EQ(Held("2"), "x");
  }
  EXPECT_EQ(DedupParents(Path("3"), &*own)->pages, 3u);
  EXPECT_EQ(FailureOf(OpenStatus("4", "../2")), Failure::kImagesDir);
}

TEST_F(ParentImagesTest, FreesNothingForADumpThatIsBeingWritten) {
  MakeImages("1", "PPPP");
  MakeImages("2", "pPpp", "../1");
  const UniqueFd written(open(Path("2").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(flock(written.get(), LOCK_EX | LOCK_NB), 0);
  EXPECT_EQ(FailureOf(DedupParents(Path("2")).status()), Failure::kImagesDir);
  EXPECT_EQ(Held("1"), "xxxx");
}

// What one has written again another may have still, as forked tasks have.
TEST_F(ParentImagesTest, KeepsPagesThatTwoTasksHave) {
  MakeImages("1", "PPP");
  Put("1", "pagemap-8.img", Pagemap(3, "PPP").bytes());
  Put("1", "pagemap-9.img", Pagemap(4, "PP").bytes());
  Put("1", "pages-4.img", std::string(2 * kImagePageSize, 'x'));
  MakeImages("2", "pPP", "../1");
  Put("2", "pagemap-8.img", Pagemap(4, "ppp").bytes());
  Put("2", "pagemap-9.img", Pagemap(5, "Pp").bytes());
  const auto freed = DedupParents(Path("2"));
  ASSERT_TRUE(freed.ok()) << freed.status();
  EXPECT_EQ(Held("1"), "xxx");
  EXPECT_EQ(Held("1", "pages-4.img"), ".x");
  EXPECT_EQ(freed->pages, 1u);
}

// Its size costs nobody anything.
TEST_F(ParentImagesTest, ASparseFileIsNoImage) {
  constexpr uint64_t kHuge = uint64_t{1} << 40;
  MakeImages("1", "P");
  MakeImages("2", "P", "../1");
  {
    const auto parent = ParentImages::Open(Path("2"), "../1");
    ASSERT_TRUE(parent.ok()) << parent.status();
    std::filesystem::resize_file(Path("1/pagemap-7.img"), kHuge);
    EXPECT_EQ(FailureOf(parent->Pages(ImageKind::kPagemap, 7).status()), Failure::kBadImage);
    EXPECT_EQ(FailureOf(DedupParents(Path("2"), &*parent).status()), Failure::kBadImage);
  }
  std::filesystem::resize_file(Path("1/inventory.img"), kHuge);
  EXPECT_EQ(FailureOf(OpenStatus("2", "../1")), Failure::kBadImage);
}

// What was written again by one dump may be needed by another, which builds upon the same images.
TEST_F(ParentImagesTest, WhatWasFreedDoesNotStand) {
  MakeImages("1", "PPPPP-P");
  MakeImages("2", "pPPpp-p", "../1");
  EXPECT_EQ(Standing("1", 7), "xxxxx.x whole");
  EXPECT_EQ(Standing("2", 7), "xxxxx.x whole");
  MakeImages("other", "PpPp--P", "../2");
  ASSERT_TRUE(DedupParents(Path("other")).ok());
  EXPECT_EQ(Standing("1", 7), "...xx..");
  EXPECT_EQ(Standing("2", 7), ".x.xx..");
  EXPECT_EQ(Standing("other", 7), "xxxx..x whole");
}

TEST_F(ParentImagesTest, WhatIsNowhereDoesNotStand) {
  MakeImages("1", "PP-p");
  MakeImages("2", "pppP", "../1");
  MakeImages("3", "pppp", "../2");
  EXPECT_EQ(Standing("3", 4), "xx.x");
  std::filesystem::resize_file(Path("1/pages-3.img"), kImagePageSize + 1);
  EXPECT_EQ(Standing("3", 4), "x..x");
  std::filesystem::remove(Path("1/pages-3.img"));
  EXPECT_EQ(Standing("3", 4), "...x");
  std::filesystem::remove(Path("2/pagemap-7.img"));
  EXPECT_EQ(Standing("3", 4), "....");
  EXPECT_EQ(Standing("2", 4), "none");
}

TEST_F(ParentImagesTest, AnErrorInAPagemapIsTold) {
  MakeImages("1", "P");
  MakeImages("2", "P", "../1");
  Put("1", "pagemap-7.img", "none");
  EXPECT_EQ(FailureOf(DedupParents(Path("2")).status()), Failure::kBadImage);
  EXPECT_EQ(Held("1"), "x");
}

}  // namespace
}  // namespace dumpctl
