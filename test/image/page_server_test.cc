#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dump/image/image_directory.h"
#include "dump/image/image_reader.h"
#include "dump/image/page_receiver.h"
#include "dump/image/page_server_protocol.h"
#include "dump/image/page_sink.h"
#include "dump/image/parent_images.h"
#include "dump/image/server_address.h"
#include "dumpctl/failure.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/mm.pb.h"
#include "test/temporary_directory.h"

namespace dumpctl {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

const PagesOwner kTask = {ImageKind::kPagemap, 17};
const PagesOwner kShared = {ImageKind::kSharedPagemap, 0x2d11};

std::string OpenHead(const PagesOwner& owner, HeadSize size) {
  return FormatHead({.command = PageServerHead::kOpen, .object = ObjectOf(owner)}, size);
}

std::string AddHead(const PagesOwner& owner, uint64_t address, uint64_t pages, HeadSize size,
                    uint16_t flags = PageServerHead::kPresent) {
  return FormatHead({.command = PageServerHead::kAdd,
                     .flags = flags,
                     .pages = pages,
                     .address = address,
                     .object = ObjectOf(owner)},
                    size);
}

std::string CloseHead(HeadSize size) {
  return FormatHead({.command = PageServerHead::kClose}, size);
}

// As stock sends them; see the header.
TEST(PageServerHeadTest, HasTheBytesThatStockHas) {
  EXPECT_EQ(AddHead(kShared, 0x1000, 3, HeadSize::kOld),
            std::string("\x06\0\x04\0\x03\0\0\0\0\x10\0\0\0\0\0\0\x02\x11\x2d\0\0\0\0\0", 24));
  EXPECT_EQ(
      AddHead(kTask, 0x1000, 3, HeadSize::kNew),
      std::string("\x06\0\x04\0\0\0\0\0\x03\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\x01\x11\0\0\0\0\0\0",
                  32));
  EXPECT_EQ(SizeOfFirstHead(OpenHead(kTask, HeadSize::kOld)), HeadSize::kOld);
  EXPECT_EQ(SizeOfFirstHead(OpenHead(kTask, HeadSize::kNew)), HeadSize::kNew);
  EXPECT_FALSE(ParseHead("short").ok());
  for (const uint64_t object : {0, 1, 2, 0x1103, 0x1100}) EXPECT_FALSE(OwnerOf(object).ok());
  EXPECT_FALSE(OwnerOf(uint64_t{1} << 40 | 1).ok());
}

class PageReceiverTest : public testing::TestWithParam<HeadSize> {
 protected:
  // Has `sent` received, and the end of it; upon what is in `previous`, if there is such.
  absl::StatusOr<ReceivedPages> Receive(const std::string& sent, const std::string& previous = "") {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    const UniqueFd server(ends[0]);
    const UniqueFd dump(ends[1]);
    EXPECT_EQ(write(dump.get(), sent.data(), sent.size()), static_cast<ssize_t>(sent.size()));
    shutdown(dump.get(), SHUT_WR);
    auto directory = ImageDirectory::Open(path_);
    EXPECT_TRUE(directory.ok()) << directory.status();
    std::optional<ParentImages> parent;
    if (!previous.empty()) {
      auto opened = ParentImages::OpenPages(path_, previous);
      EXPECT_TRUE(opened.ok()) << opened.status();
      parent.emplace(*std::move(opened));
    }
    auto received = ReceivePages(BorrowedFd(server), *directory, parent ? &*parent : nullptr, true);
    char answer[64];
    const ssize_t got = recv(dump.get(), answer, sizeof answer, MSG_DONTWAIT);
    answers_.assign(answer, got > 0 ? static_cast<size_t>(got) : 0);
    return received;
  }
  void ExpectRefused(const std::string& sent, const char* why) {
    const auto received = Receive(sent);
    EXPECT_EQ(FailureOf(received.status()), Failure::kPeer) << received.status();
    EXPECT_THAT(std::string(received.status().message()), HasSubstr(why));
    EXPECT_THAT(Names(), UnorderedElementsAre());
  }
  std::vector<std::string> Names() const { return place_.Names(); }
  std::string Contents(const std::string& name) const { return place_.Contents(name); }

  static std::string Page(char c, size_t count = 1) {
    return std::string(count * kImagePageSize, c);
  }

  const TemporaryDirectory place_;
  std::string path_ = place_.path();
  std::string answers_;
};

TEST_P(PageReceiverTest, KeepsPagesWithTheirPagemaps) {
  const HeadSize size = GetParam();
  const auto received =
      Receive(OpenHead(kShared, size) + AddHead(kShared, 0, 1, size) + Page('s') +
              OpenHead(kTask, size) + AddHead(kTask, 0x1000, 1, size) + Page('a') +
              AddHead(kTask, 0x8000, 2, size, 6) + Page('b', 2) + CloseHead(size));
  ASSERT_TRUE(received.ok()) << received.status();
  EXPECT_EQ(received->objects, 2u);
  EXPECT_EQ(received->pages, 4u);
  EXPECT_EQ(answers_, std::string(6, '\0'));
  EXPECT_THAT(Names(), UnorderedElementsAre("pagemap-17.img", "pagemap-shmem-11537.img",
                                            "pages-65537.img", "pages-65538.img"));
  EXPECT_EQ(Contents("pages-65538.img"), Page('a') + Page('b', 2));
  const std::string pagemap = Contents("pagemap-17.img");
  auto reader = ImageReader::Create("pagemap-17.img", pagemap);
  ASSERT_TRUE(reader.ok()) << reader.status();
  std::vector<std::string> entries;
  for (auto entry = reader->Next(); entry.ok() && entry->message; entry = reader->Next()) {
    entries.push_back(entry->message->ShortDebugString());
  }
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_THAT(entries[0], HasSubstr("pages_id: 65538"));
  EXPECT_THAT(entries[1], HasSubstr("flags: 4"));
  EXPECT_THAT(entries[2], HasSubstr("flags: 6"));
}

TEST_P(PageReceiverTest, TakesTheFirstObjectLater) {
  const HeadSize size = GetParam();
  const std::string shared = OpenHead(kShared, size) + AddHead(kShared, 0, 1, size) + Page('s');
  const auto received = Receive(OpenHead(kTask, size) + shared + OpenHead(kTask, size) +
                                AddHead(kTask, 0x1000, 1, size) + Page('a') + CloseHead(size));
  ASSERT_TRUE(received.ok()) << received.status();
  EXPECT_EQ(received->objects, 2u);
  EXPECT_THAT(Names(), UnorderedElementsAre("pagemap-17.img", "pagemap-shmem-11537.img",
                                            "pages-65537.img", "pages-65538.img"));
  EXPECT_EQ(Contents("pages-65537.img"), Page('a'));
}

class PagesInParentTest : public PageReceiverTest {
 protected:
  // Two runs that touch, and one apart, sent by the dump of run mark 7, in a directory beside.
  void SetUp() override {
    const std::string target = std::exchange(path_, previous_.path());
    const auto received =
        Receive(OpenHead(kTask, GetParam()) + AddHead(kTask, 0x1000, 1, GetParam()) + Page('a') +
                AddHead(kTask, 0x2000, 2, GetParam()) + Page('b', 2) +
                AddHead(kTask, 0x8000, 1, GetParam()) + Page('c') +
                FormatHead({.command = PageServerHead::kClose, .address = 7}, GetParam()));
    ASSERT_TRUE(received.ok()) << received.status();
    path_ = target;
  }
  static std::string Ask(const PagesOwner& owner, uint64_t mark) {
    return FormatHead(
        {.command = PageServerHead::kAskParent, .address = mark, .object = ObjectOf(owner)},
        GetParam());
  }
  static std::string Left(uint64_t address, uint64_t pages) {
    return AddHead(kTask, address, pages, GetParam(), PageServerHead::kParent);
  }

  const TemporaryDirectory previous_;
};

TEST_P(PagesInParentTest, SaysWhatThereIs) {
  const HeadSize size = GetParam();
  const PagesOwner other = {ImageKind::kPagemap, 18};
  const auto received = Receive(OpenHead(kTask, size) + Ask(kTask, 7) + Ask(kTask, 0) +
                                    Ask(kTask, 8) + Ask(other, 7) + CloseHead(size),
                                previous_.path());
  ASSERT_TRUE(received.ok()) << received.status();
  std::string expected(21, '\0');
  for (const size_t yes : {0, 1, 5}) expected[yes] = 1;
  EXPECT_EQ(answers_, expected);
}

// The file that says whose they are stays where images are removed, and others take their place.
TEST_P(PagesInParentTest, OthersInTheirPlaceAreNotTakenForThem) {
  const HeadSize size = GetParam();
  const std::string path = previous_.Path("pagemap-17.img");
  const auto has = [&](uint64_t mark) {
    const auto received =
        Receive(OpenHead(kShared, size) + Ask(kTask, mark) + CloseHead(size), previous_.path());
    EXPECT_TRUE(received.ok()) << received.status();
    return answers_[1] == 1;
  };
  const auto written = std::filesystem::last_write_time(path);
  const std::string pagemap = previous_.Contents("pagemap-17.img");
  std::filesystem::remove(path);
  previous_.Write("pagemap-17.img", pagemap);
  std::filesystem::last_write_time(path, written + std::chrono::milliseconds(1));
  EXPECT_FALSE(has(7));
  EXPECT_TRUE(has(0)) << "who asks for no dump's is told of any";
  // A copy that keeps times.
  std::filesystem::last_write_time(path, written);
  EXPECT_TRUE(has(7));
  std::ofstream(path, std::ios::app) << "x";
  std::filesystem::last_write_time(path, written);
  EXPECT_FALSE(has(7));
}

TEST_P(PagesInParentTest, LeavesToThemWhatTheyHold) {
  const HeadSize size = GetParam();
  const auto received =
      Receive(OpenHead(kTask, size) + Left(0x1000, 1) + Left(0x2000, 1) +
                  AddHead(kTask, 0x3000, 1, size) + Page('n') + Left(0x8000, 1) + CloseHead(size),
              previous_.path());
  ASSERT_TRUE(received.ok()) << received.status();
  EXPECT_EQ(received->pages, 1u);
  EXPECT_EQ(received->pages_in_parent, 3u);
  EXPECT_EQ(Contents("pages-65537.img"), Page('n'));
  const auto pagemap = ReadPagemap("pagemap-17.img", Contents("pagemap-17.img"));
  ASSERT_TRUE(pagemap.ok()) << pagemap.status();
  ASSERT_EQ(pagemap->runs.size(), 3u);
  EXPECT_TRUE(pagemap->runs[0].in_parent && !pagemap->runs[1].in_parent);
  EXPECT_EQ(pagemap->runs[0].pages, 2u);
}

TEST_P(PagesInParentTest, RefusesWhatTheyDoNotHold) {
  const HeadSize size = GetParam();
  const std::string open = OpenHead(kTask, size);
  for (const std::string& left : {Left(0, 1), Left(0x1000, 4), Left(0x7000, 2), Left(0x9000, 1)}) {
    const auto received = Receive(open + left + CloseHead(size), previous_.path());
    EXPECT_EQ(FailureOf(received.status()), Failure::kPeer) << received.status();
    EXPECT_THAT(std::string(received.status().message()), HasSubstr("do not hold them"));
  }
  ExpectRefused(open + Left(0x1000, 1) + CloseHead(size), "do not hold them");
  EXPECT_TRUE(Receive(open + Left(0x1000, 3) + CloseHead(size), previous_.path()).ok());
}

TEST_P(PageReceiverTest, RefusesWhatNoDumpSends) {
  const HeadSize size = GetParam();
  const std::string open = OpenHead(kTask, size);
  const std::string close = CloseHead(size);
  const std::string add = AddHead(kTask, 0x1000, 1, size) + Page('a');
  ExpectRefused("", "has ended before");
  ExpectRefused(open, "has ended before");
  ExpectRefused(open + AddHead(kTask, 0x1000, 2, size) + Page('a'), "has ended before");
  ExpectRefused(open + add, "has ended before");
  const std::string other = OpenHead(kShared, size);
  ExpectRefused(open + add + other + open + close, "the same object twice");
  ExpectRefused(open + other + other + close, "the same object twice");
  ExpectRefused(open + AddHead(kShared, 0x1000, 1, size) + Page('a') + close, "another object");
  ExpectRefused(open + add + add + close, "out of order");
  ExpectRefused(open + AddHead(kTask, 0x1001, 1, size) + Page('a') + close, "out of order");
  ExpectRefused(open + AddHead(kTask, 0x1000, 0, size) + close, "out of order");
  ExpectRefused(open + AddHead(kTask, 0x1000, 1, size, 8) + close, "flags 8");
  ExpectRefused(open + FormatHead({.command = 7, .object = ObjectOf(kTask)}, size) + close,
                "command 7");
  ExpectRefused(OpenHead({ImageKind::kPagemap, 0}, size) + close, "an object 0x1");
}

INSTANTIATE_TEST_SUITE_P(OldAndNew, PagesInParentTest,
                         testing::Values(HeadSize::kOld, HeadSize::kNew));
INSTANTIATE_TEST_SUITE_P(OldAndNew, PageReceiverTest,
                         testing::Values(HeadSize::kOld, HeadSize::kNew));

TEST(SocketAddressTest, TakesNumbersAlone) {
  EXPECT_EQ(SocketAddress::Parse("127.0.0.1", 1)->family(), AF_INET);
  EXPECT_EQ(SocketAddress::Parse("::1", 1)->family(), AF_INET6);
  for (const char* address : {"", "localhost", "1.2.3", "::g"}) {
    EXPECT_EQ(FailureOf(SocketAddress::Parse(address, 1).status()), Failure::kUsage) << address;
  }
}

}  // namespace
}  // namespace dumpctl
