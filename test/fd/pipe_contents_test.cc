#include "dump/fd/pipe_contents.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

struct Pipe {
  explicit Pipe(int flags = 0) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(pipe2(ends, flags | O_NONBLOCK), 0);
    read_end.Reset(ends[0]);
    write_end.Reset(ends[1]);
  }
  void Write(const std::string& bytes) const {
    ASSERT_EQ(write(write_end.get(), bytes.data(), bytes.size()),
              static_cast<ssize_t>(bytes.size()));
  }
  std::string Read() const {
    std::string bytes(1 << 20, '\0');
    const ssize_t got = read(read_end.get(), bytes.data(), bytes.size());
    bytes.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return bytes;
  }
  UniqueFd read_end;
  UniqueFd write_end;
};

TEST(PipeContentsTest, AnEmptyPipe) {
  const Pipe pipe;
  const auto teed = TeePipe(BorrowedFd(pipe.read_end));
  ASSERT_TRUE(teed.ok()) << teed.status();
  EXPECT_EQ(teed->bytes, 0u);
  EXPECT_EQ(teed->capacity, 65536u);
  const auto read_out = ReadTeed(*teed);
  ASSERT_TRUE(read_out.ok()) << read_out.status();
  EXPECT_EQ(read_out->bytes, "");
}

TEST(PipeContentsTest, LeavesEverythingInThePipe) {
  const Pipe pipe;
  pipe.Write("first");
  pipe.Write("second");
  const auto teed = TeePipe(BorrowedFd(pipe.read_end));
  ASSERT_TRUE(teed.ok()) << teed.status();
  // What is written later belongs to a later dump, even where it shares a page with what we hold.
  pipe.Write("third");
  const auto read_out = ReadTeed(*teed);
  ASSERT_TRUE(read_out.ok()) << read_out.status();
  EXPECT_EQ(read_out->bytes, "firstsecond");
  EXPECT_FALSE(read_out->packets);
  EXPECT_EQ(pipe.Read(), "firstsecondthird");
}

TEST(PipeContentsTest, AFullPipeOfAnotherSize) {
  const Pipe pipe;
  ASSERT_EQ(fcntl(pipe.write_end.get(), F_SETPIPE_SZ, 1 << 18), 1 << 18);
  std::string all;
  for (int i = 0; all.size() < 1 << 18; ++i) all += std::to_string(i) + ' ';
  all.resize(1 << 18);
  pipe.Write(all);
  const auto teed = TeePipe(BorrowedFd(pipe.read_end));
  ASSERT_TRUE(teed.ok()) << teed.status();
  EXPECT_EQ(teed->capacity, 1u << 18);
  const auto read_out = ReadTeed(*teed);
  ASSERT_TRUE(read_out.ok()) << read_out.status();
  EXPECT_EQ(read_out->bytes, all);
  EXPECT_FALSE(read_out->packets);
  EXPECT_EQ(pipe.Read(), all);
}

TEST(PipeContentsTest, ManySmallBuffers) {
  // Spliced pages are a buffer each, however little is in them.
  const Pipe source, pipe;
  std::string all;
  for (int i = 0; i < 16; ++i) {
    source.Write(std::to_string(i) + ",");
    all += std::to_string(i) + ",";
    ASSERT_GT(
        splice(source.read_end.get(), nullptr, pipe.write_end.get(), nullptr, 4096, SPLICE_F_MOVE),
        0);
  }
  const auto teed = TeePipe(BorrowedFd(pipe.read_end));
  ASSERT_TRUE(teed.ok()) << teed.status();
  const auto read_out = ReadTeed(*teed);
  ASSERT_TRUE(read_out.ok()) << read_out.status();
  EXPECT_EQ(read_out->bytes, all);
  EXPECT_EQ(pipe.Read(), all);
}

TEST(PipeContentsTest, TellsPackets) {
  const Pipe pipe(O_DIRECT);
  pipe.Write("one");
  pipe.Write("two");
  const auto teed = TeePipe(BorrowedFd(pipe.read_end));
  ASSERT_TRUE(teed.ok()) << teed.status();
  const auto read_out = ReadTeed(*teed);
  ASSERT_TRUE(read_out.ok()) << read_out.status();
  EXPECT_TRUE(read_out->packets);
  EXPECT_EQ(read_out->bytes, "onetwo");
  EXPECT_EQ(pipe.Read(), "one");
  EXPECT_EQ(pipe.Read(), "two");
}

}  // namespace
}  // namespace dumpctl
