#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "dump/image/image_directory.h"
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
using ::testing::UnorderedElementsAre;

class ImageDirectoryTest : public testing::Test {
 protected:
  std::vector<std::string> Names() const { return place_.Names(); }
  std::string Contents(const std::string& name) const { return place_.Contents(name); }

  const TemporaryDirectory place_;
  const std::string path_ = place_.path();
};

ImageWriter Pstree(uint32_t pid) {
  ImageWriter image(ImageKind::kPstree);
  image::pstree_entry entry;
  entry.set_pid(pid);
  entry.set_ppid(0);
  entry.set_pgid(pid);
  entry.set_sid(pid);
  entry.add_threads(pid);
  EXPECT_TRUE(image.Add(entry).ok());
  return image;
}

ImageWriter Inventory() {
  ImageWriter image(ImageKind::kInventory);
  image::inventory_entry entry;
  entry.set_img_version(2);
  EXPECT_TRUE(image.Add(entry).ok());
  return image;
}

TEST(ImageTableTest, NamesAndKindsAgree) {
  EXPECT_EQ(ImageName(ImageKind::kCore, 17), "core-17.img");
  EXPECT_EQ(ImageName(ImageKind::kFiles), "files.img");
  for (const ImageType& type : ImageTypes()) {
    EXPECT_EQ(KindOfImageName(ImageName(type.kind, 12345)), type.kind) << type.pattern;
  }
  for (const char* name : {"core-.img", "core-x.img", "notes.txt", "core-1.img.bak", ".img", ""}) {
    EXPECT_EQ(KindOfImageName(name), std::nullopt) << name;
  }
}

TEST(ImageWriterTest, FramesHeadSizeAndPayload) {
  ImageWriter image = Pstree(1);
  image.AddPayload("raw");
  EXPECT_EQ(image.name(), "pstree.img");
  const std::string& bytes = image.bytes();
  EXPECT_EQ(bytes.substr(0, 8), std::string("\x19\x43\x56\x54\x30\x30\x27\x50", 8));
  EXPECT_EQ(bytes.substr(8, 4), std::string("\x0a\0\0\0", 4));
  EXPECT_EQ(bytes.substr(22), "raw");
  // The inventory has its own magic alone.
  EXPECT_EQ(Inventory().bytes().substr(0, 4), std::string("\x16\x31\x31\x58", 4));
}

TEST(ImageWriterTest, RefusesAnEntryWithoutARequiredField) {
  ImageWriter image(ImageKind::kPstree);
  EXPECT_EQ(image.Add(image::pstree_entry()).code(), absl::StatusCode::kInternal);
}

TEST_F(ImageDirectoryTest, NothingIsVisibleBeforeTheCommit) {
  {
    auto directory = ImageDirectory::Open(path_);
    ASSERT_TRUE(directory.ok()) << directory.status();
    ASSERT_TRUE(directory->Write(Pstree(1)).ok());
    ASSERT_TRUE(directory->Write(Inventory()).ok());
    EXPECT_FALSE(std::filesystem::exists(path_ + "/inventory.img"));
    EXPECT_FALSE(std::filesystem::exists(path_ + "/pstree.img"));
  }
  EXPECT_THAT(Names(), UnorderedElementsAre());
}

TEST_F(ImageDirectoryTest, ReplacesAnEarlierDumpAndKeepsOtherFiles) {
  std::ofstream(path_ + "/dump.log") << "log";
  std::ofstream(path_ + "/inventory.img") << "old";
  std::ofstream(path_ + "/core-99.img") << "old";
  std::filesystem::create_directory(path_ + "/.dumpctl-staging");
  std::ofstream(path_ + "/.dumpctl-staging/pages-1.img") << "left by a killed dump";
  auto directory = ImageDirectory::Open(path_);
  ASSERT_TRUE(directory.ok()) << directory.status();
  ASSERT_TRUE(directory->Write(Inventory()).ok());
  ASSERT_TRUE(directory->Write(Pstree(5)).ok());
  EXPECT_EQ(Contents("inventory.img"), "old");
  ASSERT_TRUE(directory->Commit(/*sync=*/true).ok());
  EXPECT_THAT(Names(), UnorderedElementsAre("dump.log", "inventory.img", "pstree.img"));
  EXPECT_EQ(Contents("pstree.img"), Pstree(5).bytes());
  EXPECT_EQ(Contents("inventory.img"), Inventory().bytes());
}

TEST_F(ImageDirectoryTest, ImagesInPlaceAreNoDumpBeforeTheCommit) {
  std::ofstream(path_ + "/dump.log") << "log";
  auto directory = ImageDirectory::OpenInPlace(path_);
  ASSERT_TRUE(directory.ok()) << directory.status();
  ASSERT_TRUE(directory->Write(Pstree(1)).ok());
  ASSERT_TRUE(directory->Write(Inventory()).ok());
  EXPECT_THAT(Names(), UnorderedElementsAre("dump.log", "pstree.img", ".dumpctl-unfinished"));
  const auto mark = directory->Mark();
  ASSERT_TRUE(mark.ok()) << mark.status();
  EXPECT_FALSE(mark->Stands());
  ASSERT_TRUE(directory->Commit(/*sync=*/true).ok());
  EXPECT_TRUE(mark->Stands());
  EXPECT_THAT(Names(), UnorderedElementsAre("dump.log", "pstree.img", "inventory.img"));
  EXPECT_EQ(Contents("inventory.img"), Inventory().bytes());
}

TEST_F(ImageDirectoryTest, OneThatFailsInPlaceLeavesNothing) {
  std::ofstream(path_ + "/dump.log") << "log";
  {
    auto directory = ImageDirectory::OpenInPlace(path_);
    ASSERT_TRUE(directory.ok());
    ASSERT_TRUE(directory->Write(Pstree(1)).ok());
    ASSERT_TRUE(directory->Write(Inventory()).ok());
    ASSERT_TRUE(directory->CreateInParent("pages-1.img").ok());
  }
  EXPECT_THAT(Names(), UnorderedElementsAre("dump.log"));
  {
    auto directory = ImageDirectory::OpenInPlace(path_);
    ASSERT_TRUE(directory.ok());
    ASSERT_TRUE(directory->Write(Pstree(1)).ok());
    ASSERT_TRUE(directory->Write(Inventory()).ok());
    ASSERT_TRUE(directory->CreateInParent("pages-1.img").ok());
    std::filesystem::create_directories(path_ + "/inventory.img/x");
    EXPECT_EQ(FailureOf(directory->Commit(/*sync=*/false)), Failure::kImagesDir);
  }
  EXPECT_THAT(Names(), UnorderedElementsAre("dump.log", "inventory.img"));
}

TEST_F(ImageDirectoryTest, AnEarlierDumpIsNotTouchedInPlace) {
  std::ofstream(path_ + "/inventory.img") << "old";
  std::ofstream(path_ + "/pstree.img") << "old";
  {
    auto directory = ImageDirectory::OpenInPlace(path_);
    ASSERT_TRUE(directory.ok());
    ASSERT_TRUE(directory->Write(Pstree(1)).ok());
    ASSERT_TRUE(directory->Write(Inventory()).ok());
    EXPECT_EQ(Contents("pstree.img"), "old");
  }
  EXPECT_THAT(Names(), UnorderedElementsAre("inventory.img", "pstree.img"));
  EXPECT_EQ(Contents("pstree.img"), "old");
}

TEST_F(ImageDirectoryTest, InPlaceNothingOfSomebodyElseIsWrittenOrRemoved) {
  {
    auto directory = ImageDirectory::OpenInPlace(path_);
    ASSERT_TRUE(directory.ok());
    std::ofstream(path_ + "/pstree.img") << "another's";
    std::filesystem::create_symlink("precious", path_ + "/core-1.img");
    EXPECT_EQ(FailureOf(directory->Write(Pstree(1))), Failure::kImagesDir);
    EXPECT_EQ(FailureOf(directory->Create("core-1.img").status()), Failure::kImagesDir);
  }
  EXPECT_EQ(Contents("pstree.img"), "another's");
  EXPECT_THAT(Names(), UnorderedElementsAre("pstree.img", "core-1.img"));
}

// Of a child that ends as if it were killed.
void WriteInPlaceAndBeKilled(const std::string& path) {
  const pid_t child = fork();
  if (child == 0) {
    auto directory = ImageDirectory::OpenInPlace(path);
    const bool written = directory.ok() && directory->Write(Pstree(7)).ok() &&
                         directory->Create("core-7.img").ok() &&
                         directory->CreateInParent("pages-1.img").ok() &&
                         directory->Write(Inventory()).ok();
    _exit(written ? 0 : 1);  // nothing is destroyed
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
}

TEST_F(ImageDirectoryTest, ImagesOfAKilledDumpAreNoneAndGoWithTheNext) {
  WriteInPlaceAndBeKilled(path_);
  EXPECT_THAT(Names(),
              UnorderedElementsAre("pstree.img", "core-7.img", "parent", ".dumpctl-unfinished"));
  auto directory = ImageDirectory::OpenInPlace(path_);
  ASSERT_TRUE(directory.ok()) << directory.status();
  ASSERT_TRUE(directory->Write(Pstree(5)).ok());
  ASSERT_TRUE(directory->Write(Inventory()).ok());
  EXPECT_FALSE(std::filesystem::exists(path_ + "/inventory.img"));
  ASSERT_TRUE(directory->Commit(/*sync=*/false).ok());
  EXPECT_THAT(Names(), UnorderedElementsAre("inventory.img", "pstree.img"));
  EXPECT_EQ(Contents("pstree.img"), Pstree(5).bytes());
}

TEST_F(ImageDirectoryTest, BadDirectoriesHaveTheirOwnExitCode) {
  EXPECT_EQ(FailureOf(ImageDirectory::Open(path_ + "/missing").status()), Failure::kImagesDir);
  std::ofstream(path_ + "/file") << "x";
  EXPECT_EQ(FailureOf(ImageDirectory::Open(path_ + "/file").status()), Failure::kImagesDir);
  std::filesystem::create_symlink("nowhere", path_ + "/link");
  EXPECT_EQ(FailureOf(ImageDirectory::Open(path_ + "/link").status()), Failure::kImagesDir);
}

TEST_F(ImageDirectoryTest, TwoDumpsDoNotShareADirectory) {
  auto first = ImageDirectory::Open(path_);
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(first->Write(Inventory()).ok());
  const absl::Status second = ImageDirectory::Open(path_).status();
  EXPECT_EQ(FailureOf(second), Failure::kImagesDir);
  EXPECT_THAT(std::string(second.message()), HasSubstr("another dump"));
  ASSERT_TRUE(first->Commit(/*sync=*/false).ok());
  EXPECT_THAT(Names(), UnorderedElementsAre("inventory.img"));
}

TEST_F(ImageDirectoryTest, RemovesEveryImageOfAnotherDumpersDump) {
  for (const char* name : {"inventory.img", "mountpoints-12.img", "ghost-file-1f.img",
                           "pagemap-shmem-3.img", "tmpfs-dev-41.tar.gz.img", "sk-queues.img"}) {
    std::ofstream(path_ + "/" + name) << "old";
  }
  std::ofstream(path_ + "/disk.img") << "not an image of a dump";
  auto directory = ImageDirectory::Open(path_);
  ASSERT_TRUE(directory.ok());
  ASSERT_TRUE(directory->Write(Inventory()).ok());
  ASSERT_TRUE(directory->Commit(/*sync=*/false).ok());
  EXPECT_THAT(Names(), UnorderedElementsAre("inventory.img", "disk.img"));
}

TEST_F(ImageDirectoryTest, WithoutAnInventoryTheOldDumpStays) {
  std::ofstream(path_ + "/inventory.img") << "old";
  {
    auto directory = ImageDirectory::Open(path_);
    ASSERT_TRUE(directory.ok());
    ASSERT_TRUE(directory->Write(Pstree(1)).ok());
    EXPECT_EQ(directory->Commit(/*sync=*/false).code(), absl::StatusCode::kInternal);
  }
  EXPECT_THAT(Names(), UnorderedElementsAre("inventory.img"));
  EXPECT_EQ(Contents("inventory.img"), "old");
}

TEST_F(ImageDirectoryTest, ACommitThatFailsLeavesNoHalfDump) {
  {
    auto directory = ImageDirectory::Open(path_);
    ASSERT_TRUE(directory.ok());
    ASSERT_TRUE(directory->Write(Pstree(1)).ok());
    ASSERT_TRUE(directory->Write(Inventory()).ok());
    // A directory where an image is to be cannot be replaced by it.
    std::filesystem::create_directories(path_ + "/inventory.img/x");
    EXPECT_EQ(FailureOf(directory->Commit(/*sync=*/false)), Failure::kImagesDir);
  }
  EXPECT_THAT(Names(), UnorderedElementsAre("inventory.img"));
}

TEST_F(ImageDirectoryTest, NeverCleansUpThroughALink) {
  std::filesystem::create_directory(path_ + "/precious");
  std::ofstream(path_ + "/precious/file") << "x";
  std::filesystem::create_directory(path_ + "/images");
  std::filesystem::create_directory_symlink("../precious", path_ + "/images/.dumpctl-staging");
  EXPECT_EQ(FailureOf(ImageDirectory::Open(path_ + "/images").status()), Failure::kImagesDir);
  EXPECT_TRUE(std::filesystem::exists(path_ + "/precious/file"));
}

// Runs in a child with a mount namespace of its own; 0 when all is well, else the line that failed.
int WriteToAFullDisk(const std::string& path, bool in_place) {
  if (unshare(CLONE_NEWNS) < 0 || mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0 ||
      mount("tmpfs", path.c_str(), "tmpfs", 0, "size=64k") < 0) {
    return __LINE__;
  }
  {
    auto directory = in_place ? ImageDirectory::OpenInPlace(path) : ImageDirectory::Open(path);
    if (!directory.ok()) return __LINE__;
    if (!directory->Write(Pstree(1)).ok()) return __LINE__;
    ImageWriter big(ImageKind::kPipesData);
    big.AddPayload(std::string(1 << 20, 'x'));
    const absl::Status status = directory->Write(big);
    if (FailureOf(status) != Failure::kNoSpace) return __LINE__;
    if (status.message().find("1048584 bytes") == absl::string_view::npos) return __LINE__;
  }
  return std::filesystem::is_empty(path) ? 0 : __LINE__;
}

TEST_F(ImageDirectoryTest, AFullDiskIsSaidAndNothingRemains) {
  for (const bool in_place : {false, true}) {
    const pid_t child = fork();
    if (child == 0) _exit(WriteToAFullDisk(path_, in_place) & 0xff);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0) << "the low byte of the failed line";
  }
}

TEST_F(ImageDirectoryTest, APidFileHoldsTheNumberAlone) {
  std::ofstream(path_ + "/pid") << "an earlier, longer one";
  EXPECT_TRUE(WritePidfile(path_ + "/pid", 1234).ok());
  EXPECT_EQ(Contents("pid"), "1234");
  std::filesystem::create_symlink("pid", path_ + "/link");
  EXPECT_EQ(FailureOf(WritePidfile(path_ + "/link", 1)), Failure::kImagesDir);
  EXPECT_EQ(Contents("pid"), "1234");
  const absl::Status full = WritePidfile("/dev/full", 1);
  EXPECT_EQ(FailureOf(full), Failure::kNoSpace) << full;
  EXPECT_THAT(std::string(full.message()), HasSubstr("pid file /dev/full"));
}

// A dump with parent images of its own, of two tasks that share a page.
void CommitWithParent(const std::string& path, int tasks) {
  auto directory = ImageDirectory::Open(path);
  ASSERT_TRUE(directory.ok());
  EXPECT_TRUE(directory->can_have_parent());
  auto sink = directory->CreatePagesInParent(1);
  ASSERT_TRUE(sink.ok()) << sink.status();
  sink->Account(RemoteAddress(0x1000), 1);
  auto pagemap = sink->Pagemap(ImageKind::kPagemap, 1);
  ASSERT_TRUE(pagemap.ok());
  std::vector<std::string> also;
  for (int task = 2; task <= tasks; ++task) also.push_back(ImageName(ImageKind::kPagemap, task));
  EXPECT_TRUE(directory->WriteInParent(*pagemap, also).ok());
  EXPECT_TRUE(directory->Write(ImageWriter(ImageKind::kInventory)).ok());
  EXPECT_TRUE(directory->Commit(false).ok());
}

TEST_F(ImageDirectoryTest, ParentImagesComeAndGoWithTheirDump) {
  CommitWithParent(path_, 3);
  EXPECT_THAT(
      TemporaryDirectory::NamesIn(path_ + "/parent"),
      UnorderedElementsAre("pages-1.img", "pagemap-1.img", "pagemap-2.img", "pagemap-3.img"));
  CommitWithParent(path_, 2);
  EXPECT_THAT(TemporaryDirectory::NamesIn(path_ + "/parent"),
              UnorderedElementsAre("pages-1.img", "pagemap-1.img", "pagemap-2.img"));
  auto directory = ImageDirectory::Open(path_);
  ASSERT_TRUE(directory.ok());
  EXPECT_TRUE(directory->Write(ImageWriter(ImageKind::kInventory)).ok());
  EXPECT_TRUE(directory->Commit(false).ok());
  EXPECT_THAT(Names(), UnorderedElementsAre("inventory.img"));
}

TEST_F(ImageDirectoryTest, ALinkToParentImagesGoesWithItsDump) {
  std::filesystem::create_directory(path_ + "/before");
  std::ofstream(path_ + "/before/pages-1.img") << "pages";
  std::filesystem::create_symlink("before", path_ + "/parent");
  CommitWithParent(path_, 2);
  EXPECT_FALSE(std::filesystem::is_symlink(path_ + "/parent"));
  EXPECT_EQ(Contents("before/pages-1.img"), "pages");
}

TEST_F(ImageDirectoryTest, WhatCannotBeReplacedIsNotTakenAway) {
  std::ofstream(path_ + "/pstree.img") << "earlier";
  std::filesystem::create_directory(path_ + "/inventory.img");  // which no unlink removes
  std::filesystem::create_directory(path_ + "/parent");
  std::ofstream(path_ + "/parent/pages-1.img") << "pages";
  {
    auto directory = ImageDirectory::Open(path_);
    ASSERT_TRUE(directory.ok());
    EXPECT_TRUE(directory->CreatePagesInParent(1).ok());
    EXPECT_TRUE(directory->Write(ImageWriter(ImageKind::kPstree)).ok());
    EXPECT_TRUE(directory->Write(ImageWriter(ImageKind::kInventory)).ok());
    EXPECT_FALSE(directory->Commit(false).ok());
  }
  EXPECT_EQ(Contents("pstree.img"), "earlier");
  EXPECT_EQ(Contents("parent/pages-1.img"), "pages");
  EXPECT_THAT(Names(), UnorderedElementsAre("inventory.img", "parent", "pstree.img"));
}

TEST_F(ImageDirectoryTest, AnEarlierDumpOutlivesOneThatCannotTakeItsPlace) {
  CommitWithParent(path_, 2);
  std::ofstream(path_ + "/pstree.img") << "earlier";
  for (const bool moves : {false, true}) {
    // What no unlink removes; or, later, what cannot be moved out.
    if (!moves) std::filesystem::create_directory(path_ + "/core-99.img");
    if (moves) std::filesystem::remove(path_ + "/core-99.img");
    auto directory = ImageDirectory::Open(path_);
    ASSERT_TRUE(directory.ok());
    EXPECT_TRUE(directory->Write(ImageWriter(ImageKind::kPstree)).ok());
    EXPECT_TRUE(directory->Write(ImageWriter(ImageKind::kFiles)).ok());
    EXPECT_TRUE(directory->Write(ImageWriter(ImageKind::kInventory)).ok());
    if (moves) std::filesystem::remove(path_ + "/.dumpctl-staging/files.img");
    const absl::Status committed = directory->Commit(false);
    EXPECT_EQ(FailureOf(committed), Failure::kImagesDir) << committed;
    EXPECT_THAT(std::string(committed.message()),
                HasSubstr(moves ? "files.img" : "core-99.img in place of what is there"));
    EXPECT_EQ(Contents("pstree.img"), "earlier");
    EXPECT_THAT(TemporaryDirectory::NamesIn(path_ + "/parent"),
                UnorderedElementsAre("pages-1.img", "pagemap-1.img", "pagemap-2.img"));
    EXPECT_TRUE(std::filesystem::exists(path_ + "/inventory.img"));
    EXPECT_FALSE(std::filesystem::exists(path_ + "/files.img"));
  }
}

TEST_F(ImageDirectoryTest, WhatIsNoParentOfADumpIsLeftAlone) {
  std::filesystem::create_directory(path_ + "/parent");
  std::ofstream(path_ + "/parent/letter.txt") << "Dear";
  auto directory = ImageDirectory::Open(path_);
  ASSERT_TRUE(directory.ok());
  EXPECT_FALSE(directory->can_have_parent());
  EXPECT_TRUE(directory->Write(ImageWriter(ImageKind::kInventory)).ok());
  EXPECT_TRUE(directory->Commit(false).ok());
  EXPECT_EQ(Contents("parent/letter.txt"), "Dear");
}

TEST_F(ImageDirectoryTest, ADumpThatStandsAsParentImagesIsLeftAlone) {
  for (const std::string level : {"/parent", "/parent/parent"}) {
    std::filesystem::create_directories(path_ + level);
    std::ofstream(path_ + level + "/inventory.img") << "another's";
    auto directory = ImageDirectory::Open(path_);
    ASSERT_TRUE(directory.ok());
    EXPECT_FALSE(directory->can_have_parent());
    const absl::Status linked = directory->LinkParent("../before");
    EXPECT_EQ(FailureOf(linked), Failure::kImagesDir);
    EXPECT_THAT(std::string(linked.message()), HasSubstr("something else in parent"));
    EXPECT_TRUE(directory->Write(ImageWriter(ImageKind::kInventory)).ok());
    EXPECT_TRUE(directory->Commit(false).ok());
    EXPECT_EQ(Contents(level.substr(1) + "/inventory.img"), "another's");
    std::filesystem::remove(path_ + level + "/inventory.img");
  }
}

TEST_F(ImageDirectoryTest, ParentImagesThatSomebodyReadsAreLeftAlone) {
  std::filesystem::create_directories(path_ + "/parent/parent");
  std::ofstream(path_ + "/parent/parent/pages-1.img") << "pages";
  const auto commit = [this] {
    auto directory = ImageDirectory::Open(path_);
    ASSERT_TRUE(directory.ok());
    EXPECT_TRUE(directory->Write(ImageWriter(ImageKind::kInventory)).ok());
    EXPECT_TRUE(directory->Commit(false).ok());
  };
  {
    const UniqueFd read(open((path_ + "/parent/parent").c_str(), O_RDONLY | O_DIRECTORY));
    ASSERT_EQ(flock(read.get(), LOCK_SH), 0);
    commit();
  }
  EXPECT_EQ(Contents("parent/parent/pages-1.img"), "pages");
  commit();
  EXPECT_THAT(Names(), UnorderedElementsAre("inventory.img"));
}

TEST_F(ImageDirectoryTest, ParentImagesThatNoDumpCanHaveAreLeftAlone) {
  std::string deep = path_;
  for (int level = 0; level < 300; ++level) deep += "/parent";
  std::filesystem::create_directories(deep);
  auto directory = ImageDirectory::Open(path_);
  ASSERT_TRUE(directory.ok());
  EXPECT_FALSE(directory->can_have_parent());
}

TEST_F(ImageDirectoryTest, ParentImagesOfAKilledDumpAreRemoved) {
  const pid_t child = fork();
  if (child == 0) {
    auto directory = ImageDirectory::Open(path_);
    if (!directory.ok() || !directory->CreateInParent("pages-1.img").ok()) _exit(1);
    _exit(0);  // as if killed: nothing is destroyed
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_TRUE(std::filesystem::exists(path_ + "/.dumpctl-staging/parent/pages-1.img"));
  ASSERT_TRUE(ImageDirectory::Open(path_).ok());
  EXPECT_TRUE(std::filesystem::is_empty(path_));
}

TEST(ImageWriteErrorTest, AFullDiskHasItsOwnExitCode) {
  EXPECT_EQ(FailureOf(ImageWriteError(ENOSPC, "pages-1.img")), Failure::kNoSpace);
  EXPECT_EQ(FailureOf(ImageWriteError(EDQUOT, "pages-1.img")), Failure::kNoSpace);
  EXPECT_EQ(FailureOf(ImageWriteError(EIO, "pages-1.img")), Failure::kImagesDir);
  EXPECT_EQ(FailureOf(ImageWriteError(EMFILE, "pages-1.img")), Failure::kHost);
}

// Its entries, behind the head.
std::vector<image::pagemap_entry> EntriesOf(const ImageWriter& pagemap) {
  const std::string& bytes = pagemap.bytes();
  std::vector<image::pagemap_entry> entries;
  for (size_t at = 8; at < bytes.size();) {
    const size_t size = static_cast<unsigned char>(bytes[at]);
    if (at > 8) {
      EXPECT_TRUE(entries.emplace_back().ParseFromString(bytes.substr(at + 4, size)));
    }
    at += 4 + size;
  }
  return entries;
}

TEST_F(ImageDirectoryTest, PagemapMergesNeighboursAndKeepsHoles) {
  auto directory = ImageDirectory::Open(path_);
  ASSERT_TRUE(directory.ok());
  auto sink = directory->CreatePages(1);
  ASSERT_TRUE(sink.ok());
  sink->Account(RemoteAddress(0x1000), 2);
  sink->Account(RemoteAddress(0x3000), 1);
  sink->Account(RemoteAddress(0x8000), 1);
  EXPECT_EQ(sink->offset(), 4 * kImagePageSize);
  auto image = sink->Pagemap(ImageKind::kPagemap, 7);
  ASSERT_TRUE(image.ok());
  EXPECT_EQ(image->name(), "pagemap-7.img");
  const std::vector<image::pagemap_entry> entries = EntriesOf(*image);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].vaddr(), 0x1000u);
  EXPECT_EQ(entries[0].compat_nr_pages(), 3u);
  EXPECT_EQ(entries[0].flags(), 4u);
  EXPECT_EQ(entries[1].vaddr(), 0x8000u);
}

TEST_F(ImageDirectoryTest, PagemapTellsWhichPagesTheParentHas) {
  auto directory = ImageDirectory::Open(path_);
  ASSERT_TRUE(directory.ok());
  auto sink = directory->CreatePages(1);
  ASSERT_TRUE(sink.ok());
  sink->Account(RemoteAddress(0x1000), 1);
  sink->AccountInParent(RemoteAddress(0x2000), 1);
  sink->Account(RemoteAddress(0x5000), 1);
  sink->AccountInParent(RemoteAddress(0x3000), 2);
  EXPECT_EQ(sink->offset(), 2 * kImagePageSize);
  auto image = sink->Pagemap(ImageKind::kPagemap, 7);
  ASSERT_TRUE(image.ok());
  const std::vector<image::pagemap_entry> entries = EntriesOf(*image);
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].flags(), 4u);
  EXPECT_EQ(entries[1].vaddr(), 0x2000u);
  EXPECT_EQ(entries[1].compat_nr_pages(), 3u);
  EXPECT_EQ(entries[1].flags(), 1u);
  EXPECT_EQ(entries[2].vaddr(), 0x5000u);
  EXPECT_EQ(entries[2].flags(), 4u);
}

}  // namespace
}  // namespace dumpctl
