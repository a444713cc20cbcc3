#include "dump/image/image_reader.h"

#include <sys/stat.h>

#include <fstream>

#include "dump/image/image_writer.h"
#include "dumpctl/failure.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/files.pb.h"
#include "proto/inventory.pb.h"
#include "proto/mm.pb.h"
#include "proto/sockets.pb.h"
#include "test/temporary_directory.h"

namespace dumpctl {
namespace {

using ::testing::HasSubstr;

ImageWriter PipesData(std::string_view payload, uint32_t claimed) {
  ImageWriter image(ImageKind::kPipesData);
  image::pipe_data_entry entry;
  entry.set_pipe_id(7);
  entry.set_bytes(claimed);
  EXPECT_TRUE(image.Add(entry).ok());
  image.AddPayload(payload);
  return image;
}

// Reads all entries; the status of the first error.
absl::Status ReadAll(const std::string& name, std::string_view bytes) {
  auto reader = ImageReader::Create(name, bytes);
  if (!reader.ok()) return reader.status();
  for (;;) {
    const auto entry = reader->Next();
    if (!entry.ok()) return entry.status();
    if (entry->message == nullptr) return absl::OkStatus();
  }
}

TEST(ImageReaderTest, ReadsBackWhatTheWriterFramed) {
  const ImageWriter image = PipesData("some bytes", 10);
  auto reader = ImageReader::Create(image.name(), image.bytes());
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(reader->type().kind, ImageKind::kPipesData);
  auto entry = reader->Next();
  ASSERT_TRUE(entry.ok()) << entry.status();
  ASSERT_NE(entry->message, nullptr);
  EXPECT_EQ(entry->message->ShortDebugString(), "pipe_id: 7 bytes: 10");
  ASSERT_EQ(entry->payloads.size(), 1u);
  EXPECT_EQ(entry->payloads[0].bytes, "some bytes");
  entry = reader->Next();
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(entry->message, nullptr);
}

TEST(ImageReaderTest, ThePagemapBeginsWithItsHead) {
  ImageWriter image(ImageKind::kPagemap, 3);
  image::pagemap_head head;
  head.set_pages_id(9);
  ASSERT_TRUE(image.Add(head).ok());
  image::pagemap_entry run;
  run.set_vaddr(0x1000);
  run.set_compat_nr_pages(2);
  ASSERT_TRUE(image.Add(run).ok());
  auto reader = ImageReader::Create(image.name(), image.bytes());
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(reader->Next()->message->ShortDebugString(), "pages_id: 9");
  EXPECT_EQ(reader->Next()->message->ShortDebugString(), "vaddr: 4096 compat_nr_pages: 2");
  // Memory that tasks share has the same magic: its name tells it apart.
  auto shared = ImageReader::Create("dir/pagemap-shmem-3.img", image.bytes());
  ASSERT_TRUE(shared.ok());
  EXPECT_EQ(shared->type().kind, ImageKind::kSharedPagemap);
}

TEST(ImageReaderTest, AStreamHasTwoPayloads) {
  ImageWriter image(ImageKind::kTcpStream, 0x1f);
  EXPECT_EQ(image.name(), "tcp-stream-1f.img");
  image::tcp_stream_entry entry;
  entry.set_inq_len(2);
  entry.set_inq_seq(0);
  entry.set_outq_len(3);
  entry.set_outq_seq(0);
  entry.set_opt_mask(0);
  entry.set_snd_wscale(0);
  entry.set_mss_clamp(0);
  ASSERT_TRUE(image.Add(entry).ok());
  image.AddPayload("inout");
  auto reader = ImageReader::Create(image.name(), image.bytes());
  ASSERT_TRUE(reader.ok());
  auto read = reader->Next();
  ASSERT_TRUE(read.ok());
  ASSERT_EQ(read->payloads.size(), 2u);
  EXPECT_EQ(read->payloads[0].bytes, "in");
  EXPECT_EQ(read->payloads[1].name, "outq");
  EXPECT_EQ(read->payloads[1].bytes, "out");
}

TEST(ImageReaderTest, AGhostFilesContentsAreTheRestOrChunks) {
  image::ghost_file_entry ghost;
  ghost.set_uid(0);
  ghost.set_gid(0);
  ghost.set_mode(0100644);
  ImageWriter whole(ImageKind::kGhostFile, 1);
  ASSERT_TRUE(whole.Add(ghost).ok());
  whole.AddPayload("all of it");
  auto reader = ImageReader::Create(whole.name(), whole.bytes());
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(reader->Next()->payloads[0].bytes, "all of it");
  EXPECT_EQ(reader->Next()->message, nullptr);

  ghost.set_chunks(true);
  ImageWriter chunks(ImageKind::kGhostFile, 1);
  ASSERT_TRUE(chunks.Add(ghost).ok());
  image::ghost_chunk_entry chunk;
  chunk.set_off(4096);
  chunk.set_len(5);
  ASSERT_TRUE(chunks.Add(chunk).ok());
  chunks.AddPayload("chunk");
  auto chunked = ImageReader::Create(chunks.name(), chunks.bytes());
  ASSERT_TRUE(chunked.ok());
  EXPECT_TRUE(chunked->Next()->payloads.empty());
  EXPECT_EQ(chunked->Next()->payloads[0].bytes, "chunk");
}

TEST(ImageReaderTest, AChunkIsNeverTheRest) {
  image::ghost_file_entry ghost;
  ghost.set_uid(0);
  ghost.set_gid(0);
  ghost.set_mode(0100644);
  ghost.set_chunks(true);
  ImageWriter chunks(ImageKind::kGhostFile, 1);
  ASSERT_TRUE(chunks.Add(ghost).ok());
  image::ghost_chunk_entry chunk;
  chunk.set_off(0);
  chunk.set_len(UINT64_MAX);
  ASSERT_TRUE(chunks.Add(chunk).ok());
  chunks.AddPayload("chunk");
  EXPECT_THAT(std::string(ReadAll(chunks.name(), chunks.bytes()).message()),
              HasSubstr("a payload of 18446744073709551615 bytes, but the image ends after 5"));
}

TEST(ImageReaderTest, SaysWhereAnImageIsWrong) {
  const std::string good = PipesData("some bytes", 10).bytes();
  std::string unparsable = good;
  unparsable[12] = '\x07';  // a wire type that does not exist
  const struct {
    std::string bytes;
    std::string message;
  } cases[] = {
      {"", "i.img: at byte 0: a magic of 4 bytes, but the image ends after 0"},
      {good.substr(0, 6), "i.img: at byte 4: a magic of 4 bytes, but the image ends after 2"},
      {"text, no image", "i.img: at byte 0: 0x74786574 is no image's magic"},
      {good.substr(0, 4) + "none", "i.img: at byte 4: 0x656e6f6e is no image's magic"},
      {good.substr(0, 10), "i.img: at byte 8: a size of 4 bytes, but the image ends after 2"},
      {good.substr(0, 14), "i.img: at byte 8: an entry of 4 bytes, but the image ends after 2"},
      {good.substr(0, 8) + std::string("\xff\xff\xff\xff", 4),
       "i.img: at byte 8: an entry of 4294967295 bytes, but the image ends after 0"},
      {unparsable, "i.img: at byte 12: this is no pipe_data_entry"},
      {good.substr(0, 8) + std::string(4, '\0'),
       "i.img: at byte 12: pipe_data_entry without pipe_id, bytes"},
      {PipesData("short", 10).bytes(),
       "i.img: at byte 16: a payload of 10 bytes, but the image ends after 5"},
      {std::string("\x19\x43\x56\x54\x03\x32\x47\x54", 8),
       "i.img: at byte 4: images of type UTSNS cannot be read by this build"},
  };
  for (const auto& c : cases) {
    const absl::Status status = ReadAll("i.img", c.bytes);
    EXPECT_EQ(status.message(), c.message);
    EXPECT_EQ(FailureOf(status), Failure::kBadImage);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  }
}

TEST(ImageReaderTest, EveryCutOfAnImageIsRefusedOrShorter) {
  ImageWriter image = PipesData("0123456789", 10);
  image::pipe_data_entry more;
  more.set_pipe_id(8);
  more.set_bytes(0);
  ASSERT_TRUE(image.Add(more).ok());
  const std::string& bytes = image.bytes();
  int whole = 0;
  for (size_t size = 0; size <= bytes.size(); ++size) {
    whole += ReadAll("pipes-data.img", bytes.substr(0, size)).ok() ? 1 : 0;
  }
  // After the head, after the first entry with its payload, and at the end.
  EXPECT_EQ(whole, 3);
}

TEST(ReadImageFileTest, ReadsRegularFilesOnly) {
  const TemporaryDirectory place;
  const std::string& directory = place.path();
  std::ofstream(directory + "/file") << "text";
  EXPECT_EQ(ReadImageFile(directory + "/file").value_or("?"), "text");
  EXPECT_EQ(ReadImageFile(directory + "/none").status().code(), absl::StatusCode::kNotFound);
  ASSERT_EQ(mkfifo((directory + "/fifo").c_str(), 0600), 0);
  EXPECT_THAT(std::string(ReadImageFile(directory + "/fifo").status().message()),
              HasSubstr("no regular file"));
}

}  // namespace
}  // namespace dumpctl
