#include "dump/cli/image_text.h"

#include "dump/image/image_writer.h"
#include "dump/mm/vma_status.h"
#include "dumpctl/failure.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/files.pb.h"
#include "proto/inventory.pb.h"
#include "proto/mm.pb.h"

namespace dumpctl {
namespace {

using ::testing::HasSubstr;

std::string TextOf(const ImageWriter& image) {
  const auto text = ImageText(image.name(), image.bytes());
  return text.ok() ? *text : text.status().ToString();
}

image::pagemap_entry RunOfPages(uint64_t address, uint32_t pages, uint32_t flags) {
  image::pagemap_entry run;
  run.set_vaddr(address);
  run.set_compat_nr_pages(pages);
  run.set_flags(flags);
  return run;
}

TEST(ImageTextTest, PutsFlatEntriesInColumns) {
  ImageWriter image(ImageKind::kPagemap, 7);
  image::pagemap_head head;
  head.set_pages_id(3);
  ASSERT_TRUE(image.Add(head).ok());
  ASSERT_TRUE(image.Add(RunOfPages(0x400000, 120, 4)).ok());
  ASSERT_TRUE(image.Add(RunOfPages(0x7f0000000000, 1, 5)).ok());
  EXPECT_EQ(TextOf(image),
            "pagemap-7.img: PAGEMAP, 3 entries\n"
            "  pages_id 3\n"
            "  vaddr 0x400000        compat_nr_pages 120  flags present\n"
            "  vaddr 0x7f0000000000  compat_nr_pages 1    flags parent|present\n");
}

TEST(ImageTextTest, NamesTheFlagsOfAMapping) {
  ImageWriter image(ImageKind::kMm, 7);
  image::mm_entry mm;
  for (const auto* field :
       {"mm_start_code", "mm_end_code", "mm_start_data", "mm_end_data", "mm_start_stack",
        "mm_start_brk", "mm_brk", "mm_arg_start", "mm_arg_end", "mm_env_start", "mm_env_end"}) {
    mm.GetReflection()->SetUInt64(&mm, mm.GetDescriptor()->FindFieldByName(field), 0x1000);
  }
  mm.set_exe_file_id(17);
  auto& vma = *mm.add_vmas();
  vma.set_start(0x400000);
  vma.set_end(0x401000);
  vma.set_pgoff(0x1000);
  vma.set_shmid(4);
  vma.set_prot(5);
  vma.set_flags(0x80000002);
  vma.set_status(kVmaRegular | kVmaFilePrivate);
  vma.set_fd(-1);
  ASSERT_TRUE(image.Add(mm).ok());
  const std::string text = TextOf(image);
  EXPECT_THAT(text, HasSubstr("  mm_start_code   0x1000\n"));
  EXPECT_THAT(text, HasSubstr("  exe_file_id     17\n"));
  EXPECT_THAT(text, HasSubstr("  vmas (1)\n"
                              "    start 0x400000  end 0x401000  pgoff 0x1000  shmid 4  prot r-x  "
                              "flags private|0x80000000  status regular|file  fd -1\n"));
}

TEST(ImageTextTest, NamesOpenFlagsAndModes) {
  ImageWriter image(ImageKind::kFiles);
  image::file_entry entry;
  entry.set_type(image::REG);
  entry.set_id(1);
  auto& file = *entry.mutable_reg();
  file.set_id(1);
  file.set_flags(0102001);
  file.set_pos(5);
  file.set_name("/a b\n");
  file.set_mode(0100644);
  for (const auto* field : {"uid", "euid", "signum", "pid_type", "pid"}) {
    auto& owner = *file.mutable_fown();
    owner.GetReflection()->SetUInt32(&owner, owner.GetDescriptor()->FindFieldByName(field), 0);
  }
  ASSERT_TRUE(image.Add(entry).ok());
  const std::string text = TextOf(image);
  EXPECT_THAT(text, HasSubstr("  type  REG\n  id    1\n  reg\n"));
  EXPECT_THAT(text, HasSubstr("flags  wronly|append|largefile\n"));
  EXPECT_THAT(text, HasSubstr("name   \"/a b\\n\"\n"));
  EXPECT_THAT(text, HasSubstr("mode   0100644\n"));
}

TEST(ImageTextTest, EscapesPayloadsAndCutsLongOnes) {
  ImageWriter image(ImageKind::kPipesData);
  image::pipe_data_entry entry;
  entry.set_pipe_id(1);
  entry.set_bytes(4);
  ASSERT_TRUE(image.Add(entry).ok());
  image.AddPayload(std::string_view("a\0\n\"", 4));
  entry.set_bytes(1000);
  ASSERT_TRUE(image.Add(entry).ok());
  image.AddPayload(std::string(1000, 'z'));
  EXPECT_EQ(TextOf(image),
            "pipes-data.img: PIPES_DATA, 2 entries\n"
            "  pipe_id 1  bytes 4     payload \"a\\x00\\n\\\"\"\n"
            "  pipe_id 1  bytes 1000  payload \"" +
                std::string(64, 'z') + "\"... (1000 bytes)\n");
}

TEST(ImageTextTest, SaysEqualElementsOnce) {
  ImageWriter image(ImageKind::kPstree);
  image::pstree_entry process;
  process.set_pid(1);
  process.set_ppid(0);
  process.set_pgid(1);
  process.set_sid(1);
  process.add_threads(1);
  for (int i = 0; i < 20; ++i) process.add_threads(2);
  ASSERT_TRUE(image.Add(process).ok());
  EXPECT_THAT(TextOf(image), HasSubstr("  threads  1 2 (20 times)\n"));
}

TEST(ImageTextTest, ABadImageIsNamedWithItsOffset) {
  const auto text = ImageText("x.img", "nonsense");
  EXPECT_EQ(FailureOf(text.status()), Failure::kBadImage);
  EXPECT_THAT(std::string(text.status().message()), HasSubstr("x.img: at byte 0:"));
}

}  // namespace
}  // namespace dumpctl
