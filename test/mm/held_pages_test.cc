#include "dump/mm/held_pages.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <utility>

#include "dumpctl/failure.h"
#include "gtest/gtest.h"

namespace dumpctl {
namespace {

constexpr size_t kPage = kImagePageSize;

// Each page is full of the lowest byte of its number.
class PagesByNumber final : public MemorySource {
 public:
  absl::Status Read(std::span<const PageRun> runs, std::span<std::byte> bytes) const override {
    for (const PageRun& run : runs) {
      for (uint64_t i = 0; i < run.pages; ++i) {
        std::memset(bytes.data(), static_cast<int>(run.start.value() / kPage + i), kPage);
        bytes = bytes.subspan(kPage);
      }
    }
    return absl::OkStatus();
  }
};

class PagesThatAreGone final : public MemorySource {
 public:
  absl::Status Read(std::span<const PageRun>, std::span<std::byte>) const override {
    return absl::NotFoundError("gone");
  }
};

PageSink NewSink() { return PageSink::ToFile(UniqueFd(memfd_create("pages", MFD_CLOEXEC)), 1); }

std::string ContentOf(const PageSink& sink) {
  std::string bytes(static_cast<size_t>(lseek(sink.file().get(), 0, SEEK_END)), '\0');
  EXPECT_EQ(pread(sink.file().get(), bytes.data(), bytes.size(), 0), std::ssize(bytes));
  return bytes;
}

const PageRun kHeldRuns[] = {{RemoteAddress(7 * kPage), 2}, {RemoteAddress(40 * kPage), 1}};

TEST(HeldPagesTest, WritesLaterWhatItHasRead) {
  HeldPages held({.likely = 3 * kPage});
  PageSink sink = NewSink();
  ASSERT_EQ(held.Read(PagesByNumber(), kHeldRuns, sink).value(), true);
  EXPECT_EQ(sink.offset(), 3 * kPage);
  EXPECT_EQ(ContentOf(sink), "");
  const PageSink moved = std::move(sink);
  ASSERT_TRUE(held.Write().ok());
  EXPECT_EQ(ContentOf(moved),
            std::string(kPage, 7) + std::string(kPage, 8) + std::string(kPage, 40));
  // It is written once.
  ASSERT_EQ(ftruncate(moved.file().get(), 0), 0);
  ASSERT_TRUE(held.Write().ok());
  EXPECT_EQ(ContentOf(moved), "");
}

TEST(HeldPagesTest, WritesBehindWhatIsThere) {
  HeldPages held({.likely = 3 * kPage});
  PageSink sink = NewSink();
  ASSERT_EQ(write(sink.file().get(), std::string(kPage, 'x').data(), kPage), std::ptrdiff_t{kPage});
  sink.Account(RemoteAddress(kPage), 1);
  ASSERT_EQ(held.Read(PagesByNumber(), kHeldRuns, sink).value(), true);
  ASSERT_TRUE(held.Write().ok());
  EXPECT_EQ(ContentOf(sink).substr(0, kPage + 1), std::string(kPage, 'x') + '\7');
}

TEST(HeldPagesTest, LeavesToOthersWhatItHasNoRoomFor) {
  for (const uint64_t room : {uint64_t{0}, uint64_t{2 * kPage}, HeldPages::kMost + 1}) {
    HeldPages held({.likely = room});
    PageSink sink = NewSink();
    EXPECT_EQ(held.Read(PagesByNumber(), kHeldRuns, sink).value(), false) << room;
    EXPECT_EQ(sink.offset(), 0U);
    EXPECT_TRUE(held.Write().ok());
  }
  HeldPages held({.likely = 6 * kPage});
  PageSink sink = NewSink();
  EXPECT_EQ(held.Read(PagesByNumber(), kHeldRuns, sink).value(), true);
  EXPECT_EQ(held.Read(PagesByNumber(), kHeldRuns, sink).value(), false) << "it has some of another";
}

TEST(HeldPagesTest, HasSpareRoomForWhatCameSince) {
  HeldPages held({.likely = kPage, .spare = 2 * kPage});
  PageSink sink = NewSink();
  ASSERT_EQ(held.Read(PagesByNumber(), kHeldRuns, sink).value(), true);
  ASSERT_TRUE(held.Write().ok());
  EXPECT_EQ(ContentOf(sink),
            std::string(kPage, 7) + std::string(kPage, 8) + std::string(kPage, 40));
}

// By two threads, the first of which has the beginning of a run that the other goes on with.
TEST(HeldPagesTest, ReadsManyInTheirOrder) {
  constexpr uint64_t kMany = 2000;
  HeldPages held({.likely = kMany * kPage});
  PageSink sink = NewSink();
  const PageRun runs[] = {{RemoteAddress(7 * kPage), 3},
                          {RemoteAddress(100 * kPage), kMany - 7},
                          {RemoteAddress(9001 * kPage), 4}};
  ASSERT_EQ(held.Read(PagesByNumber(), runs, sink).value(), true);
  ASSERT_TRUE(held.Write().ok());
  const std::string content = ContentOf(sink);
  ASSERT_EQ(content.size(), kMany * kPage);
  size_t at = 0;
  for (const PageRun& run : runs) {
    for (uint64_t i = 0; i < run.pages; ++i, at += kPage) {
      const auto number = static_cast<char>(run.start.value() / kPage + i);
      ASSERT_EQ(content.substr(at, kPage), std::string(kPage, number)) << at / kPage;
    }
  }
}

TEST(HeldPagesTest, HoldsNothingOfWhatCannotBeRead) {
  HeldPages held({.likely = 3 * kPage});
  PageSink sink = NewSink();
  EXPECT_TRUE(absl::IsNotFound(held.Read(PagesThatAreGone(), kHeldRuns, sink).status()));
  HeldPages many({.likely = HeldPages::kMost});
  const PageRun large[] = {{RemoteAddress(kPage), HeldPages::kMost / kPage}};
  EXPECT_TRUE(absl::IsNotFound(many.Read(PagesThatAreGone(), large, sink).status()));
  EXPECT_EQ(sink.offset(), 0U);
  EXPECT_EQ(held.Read(PagesByNumber(), kHeldRuns, sink).value(), true);
}

TEST(HeldPagesTest, SaysThatTheDiskIsFull) {
  HeldPages held({.likely = 3 * kPage});
  PageSink sink = PageSink::ToFile(UniqueFd(open("/dev/full", O_RDWR | O_CLOEXEC)), 1);
  ASSERT_EQ(held.Read(PagesByNumber(), kHeldRuns, sink).value(), true);
  EXPECT_EQ(FailureOf(held.Write()), Failure::kNoSpace);
}

}  // namespace
}  // namespace dumpctl
