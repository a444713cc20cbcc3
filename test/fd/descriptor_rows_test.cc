#include "dump/fd/descriptor_rows.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dump/fd/descriptor.h"
#include "dump/fd/fd_collector.h"
#include "dump/fd/open_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/bpf_open_files.h"
#include "proc/kernel_features.h"
#include "test/fd/opening_child.h"
#include "test/proc/below_head.h"

namespace dumpctl {
namespace {

using testing::SizeIs;

// A line that tells what was peeked at from what was read.
constexpr char kMark[] = "mark:\t1\n";

// What stands below the head of its fdinfo.
std::string BelowHeadOf(const Descriptor& descriptor) {
  const std::string& text = descriptor.info_text;
  return descriptor.info ? text : std::string(BelowHead(std::string_view(text)));
}

class DescriptorRowsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!KernelFeatures::Probe()->Has(KernelFeature::kBpfTaskFile)) GTEST_SKIP() << "no BPF";
    by_bpf_ = BpfOpenFiles::Load();
    if (absl::IsNotFound(by_bpf_.status())) GTEST_SKIP() << by_bpf_.status();
    ASSERT_TRUE(by_bpf_.ok()) << by_bpf_.status();
  }

  void Start(const std::function<void()>& body) {
    child_.Start(body);
    task_ = ProcDir::OpenTask(child_.pid());
    ASSERT_TRUE(task_.ok()) << task_.status();
    pidfd_.Reset(static_cast<int>(syscall(SYS_pidfd_open, child_.pid(), 0)));
  }

  absl::StatusOr<std::vector<Descriptor>> Peek() const {
    return PeekDescriptors(*task_, child_.pid(), *by_bpf_, 20);
  }
  absl::StatusOr<std::vector<Descriptor>> Read(OpenFileIndex& index,
                                               std::vector<Descriptor> peeked = {}) const {
    return ReadDescriptors(*task_, child_.pid(), BorrowedFd(pidfd_), &index, std::move(peeked));
  }

  OpeningChild child_;
  absl::StatusOr<BpfOpenFiles> by_bpf_ = absl::NotFoundError("not loaded");
  absl::StatusOr<ProcDir> task_ = absl::NotFoundError("not started");
  UniqueFd pidfd_;
};

// What BPF tells, and what procfs, kcmp and copies of them do.
TEST_F(DescriptorRowsTest, ByBpfTheyAreTheSame) {
  Start([] {
    open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0640);  // 3
    (void)!write(3, "content", 7);
    dup(3);                               // 4
    open("log", O_RDWR | O_CREAT, 0600);  // 5
    unlink("log");
    mkfifo("fifo", 0600);
    open("fifo", O_RDWR);  // 6
    int ends[2];
    (void)!pipe(ends);  // 7, 8
    (void)!write(ends[1], "waits", 5);
    fcntl(ends[0], F_SETOWN, getpid());
    (void)!socketpair(AF_UNIX, SOCK_DGRAM, 0, ends);  // 9, 10
    eventfd(5, EFD_NONBLOCK);                         // 11
    timerfd_create(CLOCK_MONOTONIC, 0);               // 12
    epoll_create1(0);                                 // 13
    inotify_init1(0);                                 // 14
    open("/", O_PATH);                                // 15
    flock(3, LOCK_SH);
  });
  OpenFileIndex plain;
  OpenFileIndex told(*by_bpf_);
  const auto expected = Read(plain);
  const auto actual = Read(told);
  ASSERT_TRUE(expected.ok()) << expected.status();
  ASSERT_TRUE(actual.ok()) << actual.status();
  ASSERT_EQ(actual->size(), expected->size());
  ASSERT_THAT(*actual, SizeIs(16));
  const auto self = ProcDir::OpenTask(getpid());
  ASSERT_TRUE(self.ok());
  for (size_t i = 0; i < expected->size(); ++i) {
    const Descriptor& want = (*expected)[i];
    const Descriptor& got = (*actual)[i];
    EXPECT_EQ(got.number, want.number);
    // Of a socket fdinfo tells what does not matter.
    EXPECT_EQ(InfoOf(got).value(), InfoOf(want).value()) << i;
    EXPECT_EQ(BelowHeadOf(got), S_ISSOCK(got.stat.st_mode) ? "" : BelowHeadOf(want)) << i;
    EXPECT_EQ(got.stat.st_ino, want.stat.st_ino) << i;
    EXPECT_EQ(got.stat.st_mode, want.stat.st_mode) << i;
    EXPECT_EQ(got.stat.st_size, want.stat.st_size) << i;
    EXPECT_EQ(got.owner.pid, want.owner.pid) << i;
    EXPECT_EQ(!got.copy, !want.copy) << i;
    EXPECT_EQ(got.open_file, want.open_file) << i;
    EXPECT_EQ(got.link, want.link ? *want.link : DescriptorLink(*self, want.copy.get()).value());
  }
  const auto peeked = Peek();
  ASSERT_TRUE(peeked.ok()) << peeked.status();
  ASSERT_EQ(peeked->size(), expected->size());
  for (size_t i = 0; i < peeked->size(); ++i) {
    EXPECT_EQ((*peeked)[i].info, (*actual)[i].info);
    EXPECT_EQ((*peeked)[i].info_text, (*actual)[i].info_text);
    EXPECT_EQ((*peeked)[i].link, (*actual)[i].link);
    EXPECT_EQ((*peeked)[i].stat.st_ino, (*expected)[i].stat.st_ino);
  }
}

// So is what was opened and closed since.
TEST_F(DescriptorRowsTest, WhatWasPeekedAtMayHaveOtherNumbersByNow) {
  Start([] {
    for (int i = 3; i < 10; ++i) eventfd(0, 0);  // 3 to 9
    close(5);
  });
  // Numbers that were there, and those of them that are there now and were before.
  const std::pair<std::vector<int>, std::set<int>> cases[] = {
      {{3, 4, 6, 7, 8, 9}, {3, 4, 6, 7, 8, 9}},
      {{3, 4, 5, 6, 7, 8, 9}, {3, 4, 6, 7, 8, 9}},
      {{4, 6, 7, 9}, {4, 6, 7, 9}},
      {{3, 4, 5, 8, 9, 10, 11}, {3, 4, 8, 9}},
      {{3, 4, 6, 7, 8, 9, 10}, {3, 4, 6, 7, 8, 9}},
      {{5, 10}, {}},
      {{}, {}}};
  for (const auto& [before, same] : cases) {
    const auto all = Peek();
    ASSERT_TRUE(all.ok()) << all.status();
    ASSERT_THAT(*all, SizeIs(9));
    std::vector<Descriptor> peeked;
    for (const int number : before) {
      Descriptor& descriptor = peeked.emplace_back();
      for (const Descriptor& each : *all) {
        if (each.number != number) continue;
        descriptor.info = each.info;
        descriptor.info_text = each.info_text + kMark;
        descriptor.stat = each.stat;
        descriptor.link = each.link;
        descriptor.record = each.record;
      }
      descriptor.number = number;
    }
    OpenFileIndex told(*by_bpf_);
    const auto read = Read(told, std::move(peeked));
    ASSERT_TRUE(read.ok()) << read.status();
    ASSERT_THAT(*read, SizeIs(9));
    for (size_t i = 0; i < read->size(); ++i) {
      const Descriptor& got = (*read)[i];
      EXPECT_EQ(got.number, (*all)[i].number);
      EXPECT_EQ(got.info_text, (*all)[i].info_text + (same.contains(got.number) ? kMark : ""));
      EXPECT_EQ(got.info, (*all)[i].info);
      EXPECT_EQ(got.link, (*all)[i].link);
      EXPECT_NE(got.open_file, 0u);
    }
  }
}

// What is read again is told by a mark on what was not.
TEST_F(DescriptorRowsTest, WhatWasPeekedAtIsReadAgainWhereItHasChanged) {
  Start([] {
    for (const char* const name : {"sought", "moved", "deleted", "grown", "same"}) {  // 3 to 7
      open(name, O_RDWR | O_CREAT, 0640);
    }
    int ends[2];
    (void)!pipe(ends);                   // 8, 9
    (void)!pipe(ends);                   // 10, 11
    eventfd(5, 0);                       // 12
    timerfd_create(CLOCK_MONOTONIC, 0);  // 13
    timerfd_create(CLOCK_MONOTONIC, 0);  // 14
    const itimerspec hour = {{}, {3600, 0}};
    timerfd_settime(14, 0, &hour, nullptr);
    open("/proc/self/stat", O_RDONLY);  // 15
  });
  auto peeked = Peek();
  ASSERT_TRUE(peeked.ok()) << peeked.status();
  ASSERT_THAT(*peeked, SizeIs(16));
  for (size_t i = 3; i < peeked->size(); ++i) {
    EXPECT_EQ((*peeked)[i].named, i < 8) << i;
    EXPECT_EQ((*peeked)[i].record.empty(), i == 14 || i == 15) << i;
    (*peeked)[i].info_text += kMark;
  }
  const auto copy = [&](int number) { return CopyDescriptor(BorrowedFd(pidfd_), number); };
  ASSERT_EQ(lseek(copy(3).get(), 5, SEEK_SET), 5);
  ASSERT_EQ(
      rename((child_.directory() + "/moved").c_str(), (child_.directory() + "/elsewhere").c_str()),
      0);
  ASSERT_EQ(unlink((child_.directory() + "/deleted").c_str()), 0);
  ASSERT_EQ(truncate((child_.directory() + "/grown").c_str(), 100), 0);
  ASSERT_EQ(write(copy(9).get(), "text", 4), 4);
  ASSERT_EQ(write(copy(12).get(), "\1\0\0\0\0\0\0\0", 8), 8);
  OpenFileIndex plain;
  OpenFileIndex told(*by_bpf_);
  const auto expected = Read(plain);
  const auto actual = Read(told, *std::move(peeked));
  ASSERT_TRUE(expected.ok()) << expected.status();
  ASSERT_TRUE(actual.ok()) << actual.status();
  ASSERT_THAT(*actual, SizeIs(16));
  const std::set<size_t> same = {7, 10, 11, 13};
  const auto self = ProcDir::OpenTask(getpid());
  ASSERT_TRUE(self.ok());
  for (size_t i = 3; i < actual->size(); ++i) {
    const Descriptor& want = (*expected)[i];
    const Descriptor& got = (*actual)[i];
    if (i != 14) {
      EXPECT_EQ(BelowHeadOf(got), BelowHeadOf(want) + (same.contains(i) ? kMark : "")) << i;
      EXPECT_EQ(InfoOf(got).value(), InfoOf(want).value()) << i;
    }
    EXPECT_EQ(got.link, want.link ? *want.link : DescriptorLink(*self, want.copy.get()).value());
    EXPECT_EQ(got.stat.st_ino, want.stat.st_ino) << i;
    EXPECT_EQ(got.stat.st_size, want.stat.st_size) << i;
    EXPECT_EQ(got.stat.st_nlink, want.stat.st_nlink) << i;
    EXPECT_EQ(got.open_file, want.open_file) << i;
    EXPECT_EQ(got.empty_pipe, i == 10 || i == 11 ? std::optional(65536U) : std::nullopt) << i;
  }
  const auto pipes = TeePipes(*actual);
  ASSERT_TRUE(pipes.ok()) << pipes.status();
  ASSERT_THAT(*pipes, SizeIs(2));
  EXPECT_EQ(pipes->at((*actual)[8].stat.st_ino).bytes, 4U);
  EXPECT_EQ(pipes->at((*actual)[10].stat.st_ino).bytes, 0U);
  EXPECT_EQ(pipes->at((*actual)[10].stat.st_ino).capacity, 65536U);
}

}  // namespace
}  // namespace dumpctl
