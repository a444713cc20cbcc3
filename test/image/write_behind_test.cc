#include "dump/image/write_behind.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "dump/image/image_streamer.h"
#include "dump/image/outlet.h"
#include "dump/image/waiting_room.h"
#include "gtest/gtest.h"
#include "test/temporary_directory.h"

namespace dumpctl {
namespace {

constexpr absl::Duration kLongEnough = absl::Seconds(20);
constexpr size_t kMostBlocks = WaitingRoom::kMost / Block::kSize;

// A pipe that is full, so that all that is written to it waits until ReadAll.
struct WriterToAPipe {
  explicit WriterToAPipe(std::shared_ptr<WaitingRoom> room) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    out.Reset(ends[0]);
    in.Reset(ends[1]);
    auto outlet = Outlet::Open(BorrowedFd(in), "the test", kLongEnough);
    EXPECT_TRUE(outlet.ok()) << outlet.status();
    in_pipe.resize(static_cast<size_t>(fcntl(in.get(), F_GETPIPE_SZ)));
    EXPECT_EQ(write(in.get(), in_pipe.data(), in_pipe.size()),
              static_cast<ssize_t>(in_pipe.size()));
    // It is asked when there is something to wait for, and waits where it does not matter.
    auto started = WriteBehind::Start(
        *std::move(outlet), [this] { return waits ? absl::OkStatus() : kWouldWait; },
        std::move(room));
    EXPECT_TRUE(started.ok()) << started.status();
    writer = *std::move(started);
  }

  // Until it would have to wait; how many there were.
  size_t PutBlocks() const {
    for (size_t count = 0;; ++count) {
      auto block = writer->Take();
      if (!block.ok() || count > 2 * kMostBlocks) return count;
      block->used = Block::kSize;
      EXPECT_TRUE(writer->Put(*std::move(block)).ok());
    }
  }
  size_t PutStrings() const {
    size_t count = 0;
    while (count <= 2 * kMostBlocks && writer->Put(std::string(Block::kSize, 's')).ok()) ++count;
    return count;
  }
  // All that was written, which then is.
  void ReadAll(size_t bytes) {
    bytes += in_pipe.size();
    std::thread reader([this, bytes]() mutable {
      std::vector<char> piece(Block::kSize);
      while (bytes > 0) {
        const ssize_t size = read(out.get(), piece.data(), std::min(piece.size(), bytes));
        if (size <= 0) return;
        bytes -= static_cast<size_t>(size);
      }
    });
    waits = true;
    EXPECT_TRUE(writer->Finish().ok());
    waits = false;
    reader.join();
  }

  const absl::Status kWouldWait = absl::CancelledError("enough");
  std::string in_pipe;
  UniqueFd out;
  UniqueFd in;
  bool waits = false;
  std::unique_ptr<WriteBehind> writer;
};

size_t BytesIn(WaitingRoom& room) {
  const std::lock_guard lock(room.mutex);
  return room.bytes();
}

TEST(WriteBehindTest, BoundsWhatWaitsAndAsksWhetherItMayGoOn) {
  const WriterToAPipe to(std::make_shared<WaitingRoom>());
  EXPECT_EQ(to.PutBlocks(), kMostBlocks);
  EXPECT_EQ(to.writer->Take().status(), to.kWouldWait);
}

TEST(WriteBehindTest, BlocksThatAreKeptMakeRoomForWhatWaits) {
  const auto room = std::make_shared<WaitingRoom>();
  WriterToAPipe to(room);
  const size_t blocks = to.PutBlocks();
  to.ReadAll(blocks * Block::kSize);
  EXPECT_EQ(BytesIn(*room), WaitingRoom::kMost) << "none is kept";
  EXPECT_GE(to.PutStrings(), kMostBlocks);
  EXPECT_LE(BytesIn(*room), WaitingRoom::kMost);
}

TEST(WriteBehindTest, TwoShareOneRoom) {
  const auto room = std::make_shared<WaitingRoom>();
  WriterToAPipe first(room);
  const size_t blocks = first.PutBlocks();
  {
    const WriterToAPipe second(room);
    EXPECT_EQ(second.PutStrings(), 0u);
    // What one has written is room for the other.
    first.ReadAll(blocks * Block::kSize);
    EXPECT_GE(second.PutStrings(), kMostBlocks);
    EXPECT_LE(BytesIn(*room), WaitingRoom::kMost);
    EXPECT_EQ(first.PutBlocks(), 0u);
  }
  // What was never written waits no more.
  EXPECT_GE(first.PutBlocks(), kMostBlocks);
}

TEST(WriteBehindTest, WhoseReaderHasEndedLeavesItsRoom) {
  (void)signal(SIGPIPE, SIG_IGN);
  const auto room = std::make_shared<WaitingRoom>();
  WriterToAPipe first(room);
  EXPECT_EQ(first.PutBlocks(), kMostBlocks);
  const WriterToAPipe second(room);
  EXPECT_EQ(second.PutStrings(), 0u);
  first.out.Reset();
  first.waits = true;
  EXPECT_FALSE(first.writer->Finish().ok());
  EXPECT_GE(second.PutStrings(), kMostBlocks - 1);
}

// A streamer that takes nothing.
TEST(ImageStreamerTest, PagesAndAnotherImageWaitInOneRoom) {
  const TemporaryDirectory place;
  const UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  const std::string path = place.Path("streamer-capture.sock");
  ASSERT_LT(path.size(), sizeof address.sun_path);
  std::strcpy(address.sun_path, path.c_str());
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(listener.get(), 1), 0);

  const absl::Status enough = absl::CancelledError("enough");
  auto streamer = ImageStreamer::Open(place.path(), kLongEnough, [&enough] { return enough; });
  ASSERT_TRUE(streamer.ok()) << streamer.status();
  ASSERT_TRUE((*streamer)->BeginPages(1, {}, WaitingRoom::kMost).ok());
  constexpr size_t kOfPages = kMostBlocks / 2;
  for (size_t i = 0; i < kOfPages; ++i) {
    auto block = (*streamer)->TakeBlock();
    ASSERT_TRUE(block.ok()) << block.status();
    block->used = Block::kSize;
    ASSERT_TRUE((*streamer)->Put({}, *std::move(block)).ok());
  }
  auto file = (*streamer)->CreateFile("ghost-file-1.img", 4 * WaitingRoom::kMost);
  ASSERT_TRUE(file.ok()) << file.status();
  const std::string piece(Block::kSize, 'g');
  size_t of_file = 0;
  while (of_file <= 2 * kMostBlocks && (*file)->Append(piece).ok()) ++of_file;
  EXPECT_GE(kOfPages + of_file, kMostBlocks);
  // Each pipe may have taken one.
  EXPECT_LE(kOfPages + of_file, kMostBlocks + 2);
}

}  // namespace
}  // namespace dumpctl
