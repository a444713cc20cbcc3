#include "dump/image/image_json.h"

#include "absl/strings/str_cat.h"
#include "dump/image/crit_text.h"
#include "dump/image/image_writer.h"
#include "dumpctl/failure.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/files.pb.h"
#include "proto/ipc.pb.h"
#include "proto/mm.pb.h"
#include "proto/sockets.pb.h"

namespace dumpctl {
namespace {

using ::testing::HasSubstr;

std::string JsonOf(const ImageWriter& image) {
  const auto json = ImageJson(image.name(), image.bytes());
  return json.ok() ? JsonText(*json) : json.status().ToString();
}

TEST(CritTextTest, Base64ComesInLines) {
  EXPECT_EQ(Base64Lines(""), "");
  EXPECT_EQ(Base64Lines(std::string_view("a\0b", 3)), "YQBi\n");
  EXPECT_EQ(Base64Lines(std::string(57, '\0')), std::string(76, 'A') + "\n");
  EXPECT_EQ(Base64Lines(std::string(58, '\0')), std::string(76, 'A') + "\nAA==\n");
}

TEST(CritTextTest, QuotesWhatPrintableTextCannotHold) {
  EXPECT_EQ(QuotedPrintable(std::string_view("\0name=1", 7)), "=00name=3D1");
  EXPECT_EQ(QuotedPrintable("\xc3\xa4 b\t"), "=C3=A4 b=09");
  EXPECT_EQ(QuotedPrintable("x \ny"), "x=20\ny");
  EXPECT_EQ(QuotedPrintable("."), "=2E");
  EXPECT_EQ(QuotedPrintable(".a"), ".a");
  EXPECT_EQ(QuotedPrintable(std::string(76, 'a')), std::string(76, 'a'));
  EXPECT_EQ(QuotedPrintable(std::string(77, 'a')), std::string(75, 'a') + "=\naa");
}

TEST(ImageJsonTest, ThePagemapsHeadIsItsFirstEntry) {
  ImageWriter image(ImageKind::kPagemap, 7);
  image::pagemap_head head;
  head.set_pages_id(3);
  ASSERT_TRUE(image.Add(head).ok());
  image::pagemap_entry run;
  run.set_vaddr(0xffffffffff600000);
  run.set_compat_nr_pages(1);
  ASSERT_TRUE(image.Add(run).ok());
  EXPECT_EQ(JsonOf(image), R"({"magic":"PAGEMAP","entries":[{"pages_id":3},)"
                           R"({"vaddr":18446744073699065856,"compat_nr_pages":1}]})");
}

TEST(ImageJsonTest, TheMessagesOfAQueueAreItsExtra) {
  ImageWriter image(ImageKind::kIpcMessages, 10);
  image::ipc_msg_entry queue;
  image::ipc_desc_entry& desc = *queue.mutable_desc();
  for (auto set : {&image::ipc_desc_entry::set_key, &image::ipc_desc_entry::set_uid,
                   &image::ipc_desc_entry::set_gid, &image::ipc_desc_entry::set_cuid,
                   &image::ipc_desc_entry::set_cgid, &image::ipc_desc_entry::set_mode,
                   &image::ipc_desc_entry::set_id}) {
    (desc.*set)(0);
  }
  queue.set_qbytes(16384);
  queue.set_qnum(2);
  ASSERT_TRUE(image.Add(queue).ok());
  image::ipc_msg message;
  message.set_mtype(5);
  message.set_msize(5);
  ASSERT_TRUE(image.Add(message).ok());
  image.AddPayload(std::string_view("hello\0\0\0", 8));
  message.set_msize(0);
  ASSERT_TRUE(image.Add(message).ok());
  queue.set_qnum(0);
  ASSERT_TRUE(image.Add(queue).ok());
  const std::string about =
      R"({"desc":{"key":0,"uid":0,"gid":0,"cuid":0,"cgid":0,"mode":0,"id":0},"qbytes":16384,)";
  EXPECT_EQ(JsonOf(image),
            absl::StrCat(R"({"magic":"IPCNS_MSG","entries":[)", about,
                         R"("qnum":2,"extra":[{"mtype":5,"msize":5},"aGVsbG8=\n",)",
                         R"({"mtype":5,"msize":0},""]},)", about, R"("qnum":0,"extra":[]}]})"));
}

TEST(ImageJsonTest, AnEntrysPayloadIsItsExtra) {
  ImageWriter image(ImageKind::kPipesData);
  image::pipe_data_entry entry;
  entry.set_pipe_id(1);
  entry.set_bytes(3);
  ASSERT_TRUE(image.Add(entry).ok());
  image.AddPayload("abc");
  entry.set_bytes(0);
  ASSERT_TRUE(image.Add(entry).ok());
  EXPECT_EQ(JsonOf(image), R"({"magic":"PIPES_DATA","entries":[)"
                           R"({"pipe_id":1,"bytes":3,"extra":"YWJj\n"},)"
                           R"({"pipe_id":1,"bytes":0,"extra":""}]})");
}

TEST(ImageJsonTest, SeveralPayloadsHaveNames) {
  ImageWriter image(ImageKind::kTcpStream, 10);
  image::tcp_stream_entry stream;
  stream.set_inq_len(1);
  stream.set_inq_seq(2);
  stream.set_outq_len(2);
  stream.set_outq_seq(3);
  stream.set_opt_mask(4);
  stream.set_snd_wscale(5);
  stream.set_mss_clamp(6);
  ASSERT_TRUE(image.Add(stream).ok());
  image.AddPayload("abc");
  EXPECT_THAT(JsonOf(image), HasSubstr(R"("extra":{"inq":"YQ==\n","outq":"YmM=\n"})"));
}

TEST(ImageJsonTest, ANameThatIsNoUtf8IsStillShown) {
  image::reg_file_entry file;
  file.set_name("/a\xff");
  EXPECT_EQ(JsonText(MessageJson(file)), "{\"name\":\"/a\xef\xbf\xbd\"}");
}

TEST(ImageJsonTest, AnImageWithoutEntriesIsAnEmptyList) {
  EXPECT_EQ(JsonOf(ImageWriter(ImageKind::kSeccomp)), R"({"magic":"SECCOMP","entries":[]})");
}

TEST(ImageJsonTest, ACutImageIsRefusedWithItsOffset) {
  const auto json = ImageJson("x.img", std::string_view("\x19\x43\x56\x54\x49\x30\x41\x64\x01", 9));
  EXPECT_EQ(FailureOf(json.status()), Failure::kBadImage);
  EXPECT_THAT(std::string(json.status().message()), HasSubstr("x.img: at byte 8:"));
}

}  // namespace
}  // namespace dumpctl
