#include "dump/mm/page_drainer.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dump/image/image_directory.h"
#include "dumpctl/failure.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/mm/mapped_child.h"
#include "test/temporary_directory.h"

namespace dumpctl {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// An images directory and the pages file of one task in it.
class Sink {
 public:
  explicit Sink(const std::string& path)
      : directory_(*ImageDirectory::Open(path)), sink_(*directory_.CreatePages(1)) {}

  PageSink& operator*() { return sink_; }

  std::string Bytes() const {
    const off_t size = lseek(sink_.file().get(), 0, SEEK_END);
    std::string bytes(static_cast<size_t>(size), '\0');
    EXPECT_EQ(pread(sink_.file().get(), bytes.data(), bytes.size(), 0), size);
    return bytes;
  }

 private:
  ImageDirectory directory_;
  PageSink sink_;
};

FrozenTaskMemory MemoryOf(const MappedChild& child) {
  auto memory = FrozenTaskMemory::Open(child.pid(), child.Dir(), child.Vmas());
  EXPECT_TRUE(memory.ok()) << memory.status();
  return *std::move(memory);
}

// Each page tells its own number.
class Numbered : public MemorySource {
 public:
  explicit Numbered(absl::Duration delay = absl::ZeroDuration()) : delay_(delay) {}

  absl::Status Read(std::span<const PageRun> runs, std::span<std::byte> bytes) const override {
    absl::SleepFor(delay_);
    auto* out = reinterpret_cast<char*>(bytes.data());
    for (const PageRun& run : runs) {
      for (uint64_t i = 0; i < run.pages; ++i, out += kPage) {
        FillPage(out, run.start.value() / kPage + i);
      }
    }
    EXPECT_EQ(out, reinterpret_cast<char*>(bytes.data() + bytes.size()));
    return absl::OkStatus();
  }

 private:
  absl::Duration delay_;
};

constexpr size_t kPages = 6000;

// Pages of every protection, more than fit a buffer, in more runs than one system call takes.
MappedChild FilledChild() {
  return MappedChild([]() -> void* {
    char* const base = Map(kPages);
    for (size_t i = 0; i < kPages; ++i) FillPage(base + i * kPage, i);
    constexpr int kProtections[] = {PROT_NONE, PROT_READ, PROT_WRITE, PROT_EXEC,
                                    PROT_READ | PROT_WRITE};
    for (size_t i = 0; i < 500; ++i) {
      if (mprotect(base + i * kPage, kPage, kProtections[i % 5]) != 0) return nullptr;
    }
    if (mprotect(base + 5000 * kPage, 700 * kPage, PROT_NONE) != 0) return nullptr;
    return base;
  });
}

TEST(PageDrainerTest, WritesTheRunsOneBehindTheOther) {
  const MappedChild child = FilledChild();
  std::vector<PageRun> runs;
  std::vector<uint64_t> pages;
  const auto add = [&](uint64_t first, uint64_t count) {
    runs.push_back({child.Page(first), count});
    for (uint64_t i = 0; i < count; ++i) pages.push_back(first + i);
  };
  add(0, 400);
  for (uint64_t i = 500; i < 3500; i += 2) add(i, 1);
  add(4000, 1800);
  add(5999, 1);

  const TemporaryDirectory dir;
  Sink sink(dir.path());
  // Behind what is there already.
  const std::string before(2 * kPage, 'b');
  ASSERT_EQ(pwrite((*sink).file().get(), before.data(), before.size(), 0),
            static_cast<ssize_t>(before.size()));
  (*sink).Account(RemoteAddress(kPage), 2);
  const absl::Status drained = DrainPages(MemoryOf(child), runs, *sink);
  ASSERT_TRUE(drained.ok()) << drained;

  const std::string bytes = sink.Bytes();
  ASSERT_EQ(bytes.size(), before.size() + pages.size() * kPage);
  EXPECT_EQ((*sink).offset(), bytes.size());
  EXPECT_TRUE(bytes.starts_with(before));
  for (size_t i = 0; i < pages.size(); ++i) {
    ASSERT_TRUE(IsFilledPage(bytes.data() + (2 + i) * kPage, pages[i])) << pages[i];
  }
}

// Writes at most so many pages at a time, and none whose number is a multiple of 997.
class Picky : public SelfWriter {
 public:
  explicit Picky(bool able = true) : able_(able) {}

  bool Begin(BorrowedFd file) override {
    file_ = file.get();
    return able_;
  }
  void Start(std::span<const PageRun> runs, uint64_t offset) override {
    written_ = WriteSome(runs, offset);
  }
  uint64_t Finish() override { return written_; }
  bool IsDone() override { return true; }
  uint64_t pages() const { return pages_; }

 private:
  uint64_t WriteSome(std::span<const PageRun> runs, uint64_t offset) {
    constexpr uint64_t kMost = 300;
    uint64_t written = 0;
    for (const PageRun& run : runs) {
      for (uint64_t i = 0; i < run.pages; ++i, ++written) {
        const uint64_t number = run.start.value() / kPage + i;
        if (written == kMost || number % 997 == 0) return written * kPage;
        char page[kPage];
        FillPage(page, number);
        EXPECT_EQ(pwrite(file_, page, kPage, static_cast<off_t>(offset + written * kPage)),
                  static_cast<ssize_t>(kPage));
        ++pages_;
      }
    }
    return written * kPage;
  }

  bool able_;
  uint64_t written_ = 0;
  int file_ = -1;
  uint64_t pages_ = 0;
};

TEST(PageDrainerTest, ATaskWritesWhatItCanItself) {
  std::vector<PageRun> runs = {{RemoteAddress(3 * kPage), 2000}, {RemoteAddress(4000 * kPage), 1}};
  for (uint64_t i = 0; i < 3000; ++i) {
    runs.push_back({RemoteAddress((5000 + 3 * i) * kPage), 1 + i % 2});
  }
  for (const bool able : {true, false}) {
    const TemporaryDirectory dir;
    Sink sink(dir.path());
    (*sink).Account(RemoteAddress(kPage), 1);
    Picky writer(able);
    const Numbered source;
    const DrainPart part = {&source, runs, &*sink, &writer};
    const absl::Status drained = DrainParts(std::span(&part, 1));
    ASSERT_TRUE(drained.ok()) << drained;
    EXPECT_EQ(writer.pages() > 1000, able);
    const std::string bytes = sink.Bytes();
    size_t at = kPage;
    for (const PageRun& run : runs) {
      for (uint64_t i = 0; i < run.pages; ++i, at += kPage) {
        ASSERT_LE(at + kPage, bytes.size());
        const uint64_t number = run.start.value() / kPage + i;
        ASSERT_TRUE(IsFilledPage(bytes.data() + at, number)) << number;
      }
    }
    EXPECT_EQ(bytes.size(), at);
    EXPECT_EQ((*sink).offset(), at);
  }
}

// Finish is called once for each Start, and while the other one writes.
class Counting final : public Picky {
 public:
  explicit Counting(int& writing) : writing_(writing) {}
  void Start(std::span<const PageRun> runs, uint64_t offset) override {
    most_ = std::max(most_, ++writing_);
    Picky::Start(runs, offset);
  }
  uint64_t Finish() override {
    --writing_;
    return Picky::Finish();
  }
  int most() const { return most_; }

 private:
  int& writing_;
  int most_ = 0;
};

TEST(PageDrainerTest, TwoPartsAreWrittenAtTheSameTime) {
  const std::vector<PageRun> runs[2] = {{{RemoteAddress(3 * kPage), 2000}},
                                        {{RemoteAddress(4000 * kPage), 9000}}};
  const TemporaryDirectory dirs[2];
  Sink sinks[2] = {Sink(dirs[0].path()), Sink(dirs[1].path())};
  int writing = 0;
  Counting writers[2] = {Counting(writing), Counting(writing)};
  const Numbered source;
  std::vector<DrainPart> parts;
  for (int i = 0; i < 2; ++i) parts.push_back({&source, runs[i], &*sinks[i], &writers[i]});
  uint64_t told = 0;
  const absl::Status drained = DrainParts(parts, [&told](uint64_t done, uint64_t total) {
    EXPECT_EQ(total, 11000 * kPage);
    told = done;
    return absl::OkStatus();
  });
  ASSERT_TRUE(drained.ok()) << drained;
  EXPECT_EQ(told, 11000 * kPage);
  EXPECT_EQ(writing, 0);
  EXPECT_EQ(std::max(writers[0].most(), writers[1].most()), 2);
  for (int i = 0; i < 2; ++i) {
    const std::string bytes = sinks[i].Bytes();
    ASSERT_EQ(bytes.size(), runs[i].front().bytes());
    EXPECT_EQ((*sinks[i]).offset(), bytes.size());
    for (uint64_t page = 0; page < runs[i].front().pages; ++page) {
      const uint64_t number = runs[i].front().start.value() / kPage + page;
      ASSERT_TRUE(IsFilledPage(bytes.data() + page * kPage, number)) << number;
    }
  }
}

TEST(PageDrainerTest, WhereOneCannotThePartsAreReadOneAfterTheOther) {
  const std::vector<PageRun> runs = {{RemoteAddress(3 * kPage), 500}};
  const TemporaryDirectory dirs[2];
  Sink sinks[2] = {Sink(dirs[0].path()), Sink(dirs[1].path())};
  Picky able;
  Picky unable(false);
  const Numbered source;
  const DrainPart parts[] = {{&source, runs, &*sinks[0], &able},
                             {&source, runs, &*sinks[1], &unable}};
  ASSERT_TRUE(DrainParts(parts).ok());
  EXPECT_EQ(able.pages(), 0u);
  for (Sink& sink : sinks) {
    EXPECT_EQ(sink.Bytes().size(), 500 * kPage);
    EXPECT_EQ((*sink).offset(), 500 * kPage);
  }
}

TEST(PageDrainerTest, WritesNothingForNothing) {
  const TemporaryDirectory dir;
  Sink sink(dir.path());
  EXPECT_TRUE(DrainPages(Numbered(), {}, *sink).ok());
  EXPECT_THAT(sink.Bytes(), IsEmpty());
}

TEST(PageDrainerTest, TellsHowFarItIsButNotTooOften) {
  const TemporaryDirectory dir;
  Sink sink(dir.path());
  const PageRun run = {RemoteAddress(kPage), 10 * kDrainBuffer / kPage + 7};
  std::vector<std::pair<absl::Time, uint64_t>> calls;
  const absl::Time start = absl::Now();
  ASSERT_TRUE(DrainPages(Numbered(absl::Milliseconds(60)), {&run, 1}, *sink,
                         [&](uint64_t done, uint64_t total) {
                           EXPECT_EQ(total, run.bytes());
                           calls.emplace_back(absl::Now(), done);
                           return absl::OkStatus();
                         })
                  .ok());
  ASSERT_GE(calls.size(), 2u);
  EXPECT_EQ(calls.back().second, run.bytes());
  absl::Time last = start;
  uint64_t done = 0;
  for (size_t i = 0; i + 1 < calls.size(); ++i) {
    EXPECT_GE(calls[i].first - last, absl::Milliseconds(99));
    EXPECT_GT(calls[i].second, done);
    std::tie(last, done) = calls[i];
  }
}

TEST(PageDrainerTest, EndsWhenItMayNotGoOn) {
  const TemporaryDirectory dir;
  Sink sink(dir.path());
  // By two threads, ten seconds of work.
  const PageRun run = {RemoteAddress(kPage), 200 * kDrainBuffer / kPage};
  const absl::Time start = absl::Now();
  const absl::Status drained =
      DrainPages(Numbered(absl::Milliseconds(100)), {&run, 1}, *sink,
                 [](uint64_t, uint64_t) { return absl::CancelledError(); });
  EXPECT_TRUE(absl::IsCancelled(drained)) << drained;
  EXPECT_LT(absl::Now() - start, absl::Seconds(3));
  EXPECT_EQ((*sink).offset(), 0u);
}

TEST(PageDrainerTest, SaysThatTheTargetDied) {
  MappedChild child = FilledChild();
  const FrozenTaskMemory memory = MemoryOf(child);
  const PageRun readable = {child.Page(600), 10};
  const PageRun unreadable = {child.Page(5000), 10};
  child.Kill();
  for (const PageRun& run : {readable, unreadable}) {
    const TemporaryDirectory dir;
    Sink sink(dir.path());
    const absl::Status drained = DrainPages(memory, {&run, 1}, *sink);
    EXPECT_EQ(FailureOf(drained), Failure::kTargetDied) << drained;
  }
}

TEST(PageDrainerTest, SaysWhichPageIsNotThere) {
  const MappedChild child([]() -> void* {
    char* const base = Map(8);
    munmap(base + 4 * kPage, 2 * kPage);
    mprotect(base + 7 * kPage, kPage, PROT_NONE);
    munmap(base + 7 * kPage, kPage);
    return base;
  });
  const FrozenTaskMemory memory = MemoryOf(child);
  const TemporaryDirectory dir;
  Sink sink(dir.path());
  const PageRun run = {child.base(), 8};
  const absl::Status drained = DrainPages(memory, {&run, 1}, *sink);
  EXPECT_EQ(FailureOf(drained), Failure::kRefused) << drained;
  EXPECT_THAT(std::string(drained.message()),
              HasSubstr(absl::StrCat(absl::Hex(child.Page(4).value()))));
}

// One batch of many cannot be read.
class Broken : public Numbered {
 public:
  absl::Status Read(std::span<const PageRun> runs, std::span<std::byte> bytes) const override {
    if (runs.front().start >= RemoteAddress(4000 * kPage)) return absl::DataLossError("broken");
    return Numbered::Read(runs, bytes);
  }
};

TEST(PageDrainerTest, EndsAtTheFirstErrorOfAnyThread) {
  const TemporaryDirectory dir;
  Sink sink(dir.path());
  const PageRun run = {RemoteAddress(kPage), 100 * kDrainBuffer / kPage};
  ASSERT_GE(run.bytes(), kDrainByTwo);
  const absl::Status drained = DrainPages(Broken(), {&run, 1}, *sink);
  EXPECT_EQ(drained, absl::DataLossError("broken"));
  EXPECT_EQ((*sink).offset(), 0u);
}

// Some of it is gone.
class Holed final : public Numbered {
 public:
  explicit Holed(std::vector<PageRun> holes) : holes_(std::move(holes)) {}

  std::vector<PageRun> MissedAmong(std::span<const PageRun> runs) const override {
    std::vector<PageRun> missed;
    for (const PageRun& hole : holes_) {
      for (const PageRun& run : runs) {
        const RemoteAddress start = std::max(hole.start, run.start);
        const RemoteAddress end = std::min(hole.end(), run.end());
        if (start < end) missed.push_back({start, (end - start) / kPage});
      }
    }
    return missed;
  }

 private:
  std::vector<PageRun> holes_;
};

// What the other end is told of, and is sent.
class Told final : public PageStream {
 public:
  explicit Told(bool keeps_pagemaps) : keeps_pagemaps_(keeps_pagemaps) {}

  bool keeps_pagemaps() const override { return keeps_pagemaps_; }
  absl::Status BeginPages(uint32_t /*pages_id*/, const PagesOwner& /*owner*/,
                          uint64_t /*bytes*/) override {
    return absl::OkStatus();
  }
  absl::StatusOr<Block> TakeBlock() override {
    return Block{std::make_unique<std::byte[]>(Block::kSize)};
  }
  absl::Status Put(std::span<const PageRun> runs, Block block) override {
    EXPECT_EQ(block.used, BytesOf(runs));
    const auto* at = reinterpret_cast<const char*>(block.bytes.get());
    for (const PageRun& run : runs) {
      for (uint64_t i = 0; i < run.pages; ++i, at += kPage) {
        const uint64_t number = run.start.value() / kPage + i;
        EXPECT_TRUE(IsFilledPage(at, number)) << number;
        numbers.push_back(number);
      }
    }
    return absl::OkStatus();
  }

  std::vector<uint64_t> numbers;

 private:
  bool keeps_pagemaps_;
};

std::vector<uint64_t> SentOf(const MemorySource& source, std::span<const PageRun> runs,
                             bool keeps_pagemaps) {
  Told told(keeps_pagemaps);
  PageSink sink = PageSink::ToStream(told, 1);
  const absl::Status status = DrainPages(source, runs, sink);
  EXPECT_TRUE(status.ok()) << status;
  return told.numbers;
}

// There would be zeros in their place, which nobody could tell from what was written.
TEST(PageDrainerTest, WhoKeepsThePagemapsIsToldOfNoPageThatIsGone) {
  constexpr uint64_t kAtOnce = Block::kSize / kPage;
  const std::vector<PageRun> runs = {{RemoteAddress(kPage), 2 * kAtOnce},
                                     {RemoteAddress(1000 * kPage), kAtOnce}};
  // At the beginning and end, in the middle, between two blocks, and a whole block.
  const Holed source({{RemoteAddress(0), 2},
                      {RemoteAddress(10 * kPage), 3},
                      {RemoteAddress(kAtOnce * kPage), 2},
                      {RemoteAddress(1000 * kPage), kAtOnce}});
  std::vector<uint64_t> left;
  for (uint64_t i = 2; i < 1 + 2 * kAtOnce; ++i) {
    if ((i < 10 || i >= 13) && i != kAtOnce && i != kAtOnce + 1) left.push_back(i);
  }
  EXPECT_EQ(SentOf(source, runs, true), left);
  // Elsewhere as many bytes come as were said.
  EXPECT_EQ(SentOf(source, runs, false).size(), PagesOf(runs));
}

TEST(MemorySourceTest, WantsABufferOfTheRunsSize) {
  const MappedChild child([]() -> void* { return Map(1); });
  const PageRun run = {child.base(), 2};
  std::vector<std::byte> bytes(kPage);
  EXPECT_EQ(MemoryOf(child).Read({&run, 1}, bytes).code(), absl::StatusCode::kInternal);
}

// Filesystems of their own; every test is a process of its own.
class PageDrainerMountTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(unshare(CLONE_NEWNS), 0) << "needs CAP_SYS_ADMIN";
    ASSERT_EQ(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  }
  void TearDown() override { umount2(dir_.path().c_str(), MNT_DETACH); }

  TemporaryDirectory dir_;
};

TEST_F(PageDrainerMountTest, SaysThatTheDiskIsFull) {
  ASSERT_EQ(mount("none", dir_.path().c_str(), "tmpfs", 0, "size=4m"), 0);
  Sink sink(dir_.path());
  const PageRun run = {RemoteAddress(kPage), 2000};
  const absl::Status drained = DrainPages(Numbered(), {&run, 1}, *sink);
  EXPECT_EQ(FailureOf(drained), Failure::kNoSpace) << drained;
  EXPECT_THAT(std::string(drained.message()), HasSubstr("8192000 bytes"));
}

TEST_F(PageDrainerMountTest, WritesWhereNoSpaceCanBeReserved) {
  ASSERT_EQ(mount("none", dir_.path().c_str(), "ramfs", 0, nullptr), 0);
  Sink sink(dir_.path());
  const PageRun run = {RemoteAddress(kPage), 700};
  ASSERT_NE(fallocate((*sink).file().get(), 0, 0, kPage), 0);
  const absl::Status drained = DrainPages(Numbered(), {&run, 1}, *sink);
  ASSERT_TRUE(drained.ok()) << drained;
  const std::string bytes = sink.Bytes();
  ASSERT_EQ(bytes.size(), run.bytes());
  for (uint64_t i = 0; i < run.pages; ++i) {
    ASSERT_TRUE(IsFilledPage(bytes.data() + i * kPage, 1 + i)) << i;
  }
}

}  // namespace
}  // namespace dumpctl
