#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <span>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dump/image/image_directory.h"
#include "dump/mm/page_drainer.h"
#include "gtest/gtest.h"
#include "test/temporary_directory.h"

namespace dumpctl {
namespace {

std::atomic<int> writers;
std::atomic<int> most_writers;
absl::Duration longest_wait;

// Whoever else is to come has the time to.
void AwaitAnother() {
  const absl::Time until = absl::Now() + longest_wait;
  int others = ++writers;
  while (others < 2 && most_writers < 2 && absl::Now() < until) {
    absl::SleepFor(absl::Microseconds(100));
    others = std::max(others, writers.load());
  }
  if (others > most_writers) most_writers = others;
}

}  // namespace
}  // namespace dumpctl

// Instead of libc's, so that it shows how many are in it at the same time.
extern "C" ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  dumpctl::AwaitAnother();
  const ssize_t written = syscall(SYS_pwrite64, fd, bytes, size, offset);
  --dumpctl::writers;
  return written;
}

namespace dumpctl {
namespace {

class Zeros final : public MemorySource {
 public:
  absl::Status Read(std::span<const PageRun> /*runs*/, std::span<std::byte> bytes) const override {
    std::fill(bytes.begin(), bytes.end(), std::byte{0});
    return absl::OkStatus();
  }
};

// How many write at the same time into a file of two dozen buffers, by two threads.
int MostWriters(PageSink& sink, uint64_t buffer, absl::Duration wait) {
  writers = most_writers = 0;
  longest_wait = wait;
  const PageRun run = {RemoteAddress(kImagePageSize), 24 * buffer / kImagePageSize};
  const absl::Status drained = DrainPages(Zeros(), {&run, 1}, sink, {}, 0);
  EXPECT_TRUE(drained.ok()) << drained;
  EXPECT_EQ(writers, 0);
  return most_writers;
}

TEST(OneWriterTest, OfTwoThreadsOneWritesAtATime) {
  const TemporaryDirectory dir;
  ImageDirectory directory = *ImageDirectory::Open(dir.path());
  PageSink sink = *directory.CreatePages(1);
  EXPECT_EQ(MostWriters(sink, kDrainBuffer, absl::Milliseconds(5)), 1);
}

// There the kernel lets both in.
TEST(OneWriterTest, PastThePageCacheBothWrite) {
  const TemporaryDirectory dir;
  ImageDirectory directory = *ImageDirectory::Open(dir.path());
  PageSink sink = *directory.CreatePages(1);
  if (!sink.WriteDirectly()) GTEST_SKIP() << "this file system has no O_DIRECT";
  EXPECT_EQ(MostWriters(sink, kDirectBuffer, absl::Seconds(5)), 2);
}

}  // namespace
}  // namespace dumpctl
