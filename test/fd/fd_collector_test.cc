#include "dump/fd/fd_collector.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/kernel_features.h"
#include "test/temporary_directory.h"

namespace dumpctl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

// A directory that is this process's and its child's working directory while the test runs.
class FdCollectorTest : public testing::TestWithParam<bool> {
 protected:
  void TearDown() override {
    if (child_ > 0) {
      kill(child_, SIGKILL);
      waitpid(child_, nullptr, 0);
    }
  }

  // A child that has the descriptors `body` opens, from 3 on, and nothing but /dev/null below.
  void Start(const std::function<void()>& body) {
    int ready[2];
    ASSERT_EQ(pipe2(ready, O_CLOEXEC), 0);
    child_ = fork();
    if (child_ == 0) {
      const int null = open("/dev/null", O_RDWR);
      for (int fd = 0; fd < 3; ++fd) dup2(null, fd);
      const int told = fcntl(ready[1], F_DUPFD, 500);
      for (int fd = 3; fd < 500; ++fd) close(fd);
      if (chdir(dir_.c_str()) == 0) body();
      if (write(told, "r", 1) == 1) close(told);
      for (;;) pause();
    }
    close(ready[1]);
    char byte;
    ASSERT_EQ(read(ready[0], &byte, 1), 1);
    // End of file: the child has closed the descriptor that told us.
    ASSERT_EQ(read(ready[0], &byte, 1), 0);
    close(ready[0]);
  }

  struct CollectedFds {
    std::vector<image::fdinfo_entry> fdinfo;
    std::vector<PipeData> pipes;
    std::vector<PipeData> fifos;
  };

  absl::StatusOr<CollectedFds> Collect() {
    auto task = ProcDir::OpenTask(child_);
    if (!task.ok()) return task.status();
    const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, child_, 0)));
    auto descriptors = ReadDescriptors(*task, child_, BorrowedFd(pidfd), index_);
    if (!descriptors.ok()) return descriptors.status();
    auto pipes = TeePipes(*descriptors);
    if (!pipes.ok()) return pipes.status();
    files_ = FileTable(rules_, ghosts_);
    auto collector = FdCollector::Create(*pipes, GetParam(), watched_, files_);
    if (!collector.ok()) return collector.status();
    auto fdinfo = collector->Collect(child_, *descriptors);
    if (!fdinfo.ok()) return fdinfo.status();
    return CollectedFds{*std::move(fdinfo), collector->pipes(), collector->fifos()};
  }

  const image::file_entry& FileOf(const image::fdinfo_entry& fd) const {
    for (const auto& file : files_.entries()) {
      if (file.id() == fd.id()) return file;
    }
    static const image::file_entry none;
    return none;
  }

  const TemporaryDirectory place_;
  const std::string dir_ = place_.path();
  pid_t child_ = 0;
  OpenFileIndex* index_ = nullptr;
  FileRules rules_;
  GhostTable ghosts_;
  WatchedFiles watched_;
  FileTable files_;
};

TEST_P(FdCollectorTest, SharedAndSeparateOpenFiles) {
  Start([] {
    open("file", O_RDWR | O_CREAT, 0640);  // 3
    (void)!write(3, "content", 7);
    dup(3);                                                        // 4: shares the offset
    open("file", O_RDWR);                                          // 5
    lseek(5, 7, SEEK_SET);                                         // alike, but a file of its own
    open("log", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);  // 6
  });
  const auto fds = Collect();
  ASSERT_TRUE(fds.ok()) << fds.status();
  ASSERT_THAT(files_.refusals(), SizeIs(0));
  ASSERT_THAT(fds->fdinfo, SizeIs(7));
  EXPECT_EQ(fds->fdinfo[3].id(), fds->fdinfo[4].id());
  EXPECT_NE(fds->fdinfo[3].id(), fds->fdinfo[5].id());
  EXPECT_EQ(fds->fdinfo[5].flags(), 0u);
  EXPECT_EQ(fds->fdinfo[6].flags(), static_cast<uint32_t>(FD_CLOEXEC));
  const image::reg_file_entry& file = FileOf(fds->fdinfo[3]).reg();
  EXPECT_EQ(file.name(), dir_ + "/file");
  EXPECT_EQ(file.pos(), 7u);
  EXPECT_EQ(file.size(), 7u);
  EXPECT_EQ(file.mode(), S_IFREG | 0640u);
  EXPECT_EQ(file.flags() & O_ACCMODE, static_cast<uint32_t>(O_RDWR));
  const image::reg_file_entry& log = FileOf(fds->fdinfo[6]).reg();
  EXPECT_FALSE(log.has_size()) << "a log may grow before it is restored";
  EXPECT_EQ(log.flags() & O_CLOEXEC, 0u);
}

TEST_P(FdCollectorTest, WithoutCopiesTheSameFilesAreTheSame) {
  const auto open_files = [] {
    for (int i = 0; i < 20; ++i) eventfd(0, 0);  // 3 to 22: all are alike
    open("file", O_RDWR | O_CREAT, 0640);        // 23
    dup2(7, 24);
    dup2(23, 25);
    epoll_create1(0);  // 26
    epoll_event event = {.events = EPOLLIN, .data = {.u64 = 1}};
    epoll_ctl(26, EPOLL_CTL_ADD, 9, &event);
  };
  Start(open_files);
  OpenFileIndex index;
  index_ = &index;
  const auto fds = Collect();
  ASSERT_TRUE(fds.ok()) << fds.status();
  ASSERT_THAT(files_.refusals(), SizeIs(0));
  ASSERT_THAT(fds->fdinfo, SizeIs(27));
  std::set<uint32_t> ids;
  for (const image::fdinfo_entry& fd : fds->fdinfo) ids.insert(fd.id());
  EXPECT_THAT(ids, SizeIs(27 - 2 - 2)) << "three are one, and twice two are";
  EXPECT_EQ(fds->fdinfo[24].id(), fds->fdinfo[7].id());
  EXPECT_EQ(fds->fdinfo[25].id(), fds->fdinfo[23].id());
  EXPECT_EQ(FileOf(fds->fdinfo[23]).reg().name(), dir_ + "/file");
  EXPECT_EQ(FileOf(fds->fdinfo[26]).epfd().tfd(0).tfd(), 9u);
}

// What BPF tells, and what procfs, kcmp and copies of them do.
TEST_P(FdCollectorTest, ByBpfTheyAreTheSame) {
  if (!KernelFeatures::Probe()->Has(KernelFeature::kBpfTaskFile)) GTEST_SKIP() << "no BPF";
  const auto by_bpf = BpfOpenFiles::Load();
  if (absl::IsNotFound(by_bpf.status())) GTEST_SKIP() << by_bpf.status();
  ASSERT_TRUE(by_bpf.ok()) << by_bpf.status();
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
  const auto task = ProcDir::OpenTask(child_);
  ASSERT_TRUE(task.ok());
  const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, child_, 0)));
  OpenFileIndex plain;
  OpenFileIndex told(*by_bpf);
  const auto expected = ReadDescriptors(*task, child_, BorrowedFd(pidfd), &plain);
  const auto actual = ReadDescriptors(*task, child_, BorrowedFd(pidfd), &told);
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
    EXPECT_TRUE(want.info_text.starts_with(got.info_text)) << got.info_text << want.info_text;
    EXPECT_TRUE(S_ISSOCK(got.stat.st_mode) || got.info_text == want.info_text) << i;
    EXPECT_EQ(got.stat.st_ino, want.stat.st_ino) << i;
    EXPECT_EQ(got.stat.st_mode, want.stat.st_mode) << i;
    EXPECT_EQ(got.stat.st_size, want.stat.st_size) << i;
    EXPECT_EQ(got.owner.pid, want.owner.pid) << i;
    EXPECT_EQ(!got.copy, !want.copy) << i;
    EXPECT_EQ(got.open_file, want.open_file) << i;
    EXPECT_EQ(got.link, want.link ? *want.link : DescriptorLink(*self, want.copy.get()).value());
  }
  const auto peeked = PeekDescriptors(*task, child_, *by_bpf, 20);
  ASSERT_TRUE(peeked.ok()) << peeked.status();
  ASSERT_EQ(peeked->size(), expected->size());
  for (size_t i = 0; i < peeked->size(); ++i) {
    EXPECT_EQ((*peeked)[i].info_text, (*actual)[i].info_text);
    EXPECT_EQ((*peeked)[i].link, (*actual)[i].link);
    EXPECT_EQ((*peeked)[i].stat.st_ino, (*expected)[i].stat.st_ino);
  }
}

// So is what was opened and closed since.
TEST_P(FdCollectorTest, WhatWasPeekedAtMayHaveOtherNumbersByNow) {
  if (!KernelFeatures::Probe()->Has(KernelFeature::kBpfTaskFile)) GTEST_SKIP() << "no BPF";
  const auto by_bpf = BpfOpenFiles::Load();
  if (absl::IsNotFound(by_bpf.status())) GTEST_SKIP() << by_bpf.status();
  ASSERT_TRUE(by_bpf.ok()) << by_bpf.status();
  Start([] {
    for (int i = 3; i < 10; ++i) eventfd(0, 0);  // 3 to 9
    close(5);
  });
  const auto task = ProcDir::OpenTask(child_);
  ASSERT_TRUE(task.ok());
  const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, child_, 0)));
  constexpr char kMark[] = "mark:\t1\n";
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
    const auto all = PeekDescriptors(*task, child_, *by_bpf, 20);
    ASSERT_TRUE(all.ok()) << all.status();
    ASSERT_THAT(*all, SizeIs(9));
    std::vector<Descriptor> peeked;
    for (const int number : before) {
      Descriptor& descriptor = peeked.emplace_back();
      for (const Descriptor& each : *all) {
        if (each.number != number) continue;
        descriptor.info_text = each.info_text + kMark;
        descriptor.stat = each.stat;
        descriptor.link = each.link;
        descriptor.record = each.record;
      }
      descriptor.number = number;
    }
    OpenFileIndex told(*by_bpf);
    const auto read = ReadDescriptors(*task, child_, BorrowedFd(pidfd), &told, std::move(peeked));
    ASSERT_TRUE(read.ok()) << read.status();
    ASSERT_THAT(*read, SizeIs(9));
    for (size_t i = 0; i < read->size(); ++i) {
      const Descriptor& got = (*read)[i];
      EXPECT_EQ(got.number, (*all)[i].number);
      EXPECT_EQ(got.info_text, (*all)[i].info_text + (same.contains(got.number) ? kMark : ""));
      EXPECT_EQ(got.link, (*all)[i].link);
      EXPECT_NE(got.open_file, 0u);
    }
  }
}

// What is read again is told by a mark on what was not.
TEST_P(FdCollectorTest, WhatWasPeekedAtIsReadAgainWhereItHasChanged) {
  if (!KernelFeatures::Probe()->Has(KernelFeature::kBpfTaskFile)) GTEST_SKIP() << "no BPF";
  const auto by_bpf = BpfOpenFiles::Load();
  if (absl::IsNotFound(by_bpf.status())) GTEST_SKIP() << by_bpf.status();
  ASSERT_TRUE(by_bpf.ok()) << by_bpf.status();
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
  constexpr char kMark[] = "mark:\t1\n";
  const auto task = ProcDir::OpenTask(child_);
  ASSERT_TRUE(task.ok());
  const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, child_, 0)));
  auto peeked = PeekDescriptors(*task, child_, *by_bpf, 20);
  ASSERT_TRUE(peeked.ok()) << peeked.status();
  ASSERT_THAT(*peeked, SizeIs(16));
  for (size_t i = 3; i < peeked->size(); ++i) {
    EXPECT_EQ((*peeked)[i].named, i < 8) << i;
    EXPECT_EQ((*peeked)[i].record.empty(), i == 14 || i == 15) << i;
    (*peeked)[i].info_text += kMark;
  }
  const auto copy = [&](int number) { return CopyDescriptor(BorrowedFd(pidfd), number); };
  ASSERT_EQ(lseek(copy(3).get(), 5, SEEK_SET), 5);
  ASSERT_EQ(rename((dir_ + "/moved").c_str(), (dir_ + "/elsewhere").c_str()), 0);
  ASSERT_EQ(unlink((dir_ + "/deleted").c_str()), 0);
  ASSERT_EQ(truncate((dir_ + "/grown").c_str(), 100), 0);
  ASSERT_EQ(write(copy(9).get(), "text", 4), 4);
  ASSERT_EQ(write(copy(12).get(), "\1\0\0\0\0\0\0\0", 8), 8);
  OpenFileIndex plain;
  OpenFileIndex told(*by_bpf);
  const auto expected = ReadDescriptors(*task, child_, BorrowedFd(pidfd), &plain);
  const auto actual = ReadDescriptors(*task, child_, BorrowedFd(pidfd), &told, *std::move(peeked));
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
      EXPECT_EQ(got.info_text, want.info_text + (same.contains(i) ? kMark : "")) << i;
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

TEST_P(FdCollectorTest, OwnersAndSignals) {
  Start([] {
    open("file", O_RDWR | O_CREAT, 0640);  // 3
    f_owner_ex owner = {F_OWNER_PID, getpid()};
    fcntl(3, F_SETOWN_EX, &owner);
    fcntl(3, F_SETSIG, SIGUSR2);
  });
  const auto fds = Collect();
  ASSERT_TRUE(fds.ok()) << fds.status();
  const image::fown_entry& owner = FileOf(fds->fdinfo[3]).reg().fown();
  EXPECT_EQ(owner.pid(), static_cast<uint32_t>(child_));
  EXPECT_EQ(owner.pid_type(), static_cast<uint32_t>(F_OWNER_PID));
  EXPECT_EQ(owner.signum(), static_cast<uint32_t>(SIGUSR2));
  EXPECT_EQ(owner.uid(), getuid());
}

TEST_P(FdCollectorTest, PipesAndFifosOnce) {
  Start([] {
    int ends[2];
    (void)!pipe(ends);  // 3, 4
    (void)!write(4, "in the pipe", 11);
    mkfifo("fifo", 0600);
    open("fifo", O_RDWR);  // 5
    (void)!write(5, "in the fifo", 11);
  });
  const auto fds = Collect();
  ASSERT_TRUE(fds.ok()) << fds.status();
  ASSERT_THAT(fds->pipes, SizeIs(1));
  EXPECT_EQ(fds->pipes[0].bytes, "in the pipe");
  EXPECT_EQ(fds->pipes[0].entry.bytes(), 11u);
  EXPECT_EQ(fds->pipes[0].entry.size(), 65536u);
  EXPECT_EQ(FileOf(fds->fdinfo[3]).pipe().pipe_id(), fds->pipes[0].entry.pipe_id());
  EXPECT_EQ(FileOf(fds->fdinfo[4]).pipe().pipe_id(), fds->pipes[0].entry.pipe_id());
  ASSERT_THAT(fds->fifos, SizeIs(1));
  EXPECT_EQ(fds->fifos[0].bytes, "in the fifo");
  const image::fifo_entry& fifo = FileOf(fds->fdinfo[5]).fifo();
  EXPECT_EQ(fifo.pipe_id(), fds->fifos[0].entry.pipe_id());
  image::fdinfo_entry path;
  path.set_id(fifo.regf_id());
  EXPECT_EQ(FileOf(path).reg().name(), dir_ + "/fifo");
}

TEST_P(FdCollectorTest, RefusesAllAtOnceByName) {
  Start([] {
    open("file", O_RDWR | O_CREAT, 0640);  // 3
    (void)!write(3, "content", 7);
    unlink("file");
    int ends[2];
    (void)!pipe2(ends, O_DIRECT);  // 4, 5
    (void)!write(5, "packet", 6);
    open("/proc/self/fd/4", O_PATH);       // 6
    const int watches = inotify_init1(0);  // 7
    inotify_add_watch(watches, ".", IN_OPEN | IN_ONESHOT);
  });
  rules_.ghost_limit = 6;
  const auto fds = Collect();
  ASSERT_TRUE(fds.ok()) << fds.status();
  std::vector<std::string> resources;
  for (const ResourceRefusal& refusal : files_.refusals()) {
    EXPECT_EQ(refusal.pid, child_);
    EXPECT_FALSE(refusal.remedy.empty());
    resources.push_back(refusal.resource);
  }
  EXPECT_THAT(resources,
              ElementsAre(HasSubstr("fd 3 (regular file, " + dir_ + "/file (deleted)"),
                          HasSubstr("fd 5 (pipe, pipe:["), HasSubstr("fd 6 (pipe, pipe:["),
                          HasSubstr("fd 7 (inotify, ")));
}

TEST_P(FdCollectorTest, DeletedFilesAreRemappedToTheirImages) {
  Start([] {
    open("file", O_RDWR | O_CREAT, 0640);  // 3
    open("file", O_RDONLY);                // 4
    unlink("file");
    open("log", O_RDWR | O_CREAT, 0640);  // 5
  });
  struct stat stat = {};
  ASSERT_EQ(fstatat(AT_FDCWD, absl::StrCat("/proc/", child_, "/fd/3").c_str(), &stat, 0), 0);
  ghosts_[{stat.st_dev, stat.st_ino}] = {7, 11, {}};
  const auto fds = Collect();
  ASSERT_TRUE(fds.ok()) << fds.status();
  const auto remaps = files_.Remaps();
  ASSERT_THAT(remaps, SizeIs(2));
  for (const int number : {0, 1}) {
    const image::remap_file_path_entry& remap = remaps[static_cast<size_t>(number)];
    const image::fdinfo_entry& fd = fds->fdinfo[static_cast<size_t>(3 + number)];
    EXPECT_EQ(remap.orig_id(), fd.id());
    EXPECT_EQ(remap.remap_id(), 7u);
    EXPECT_EQ(remap.remap_type(), image::GHOST);
    EXPECT_EQ(FileOf(fd).reg().name(), dir_ + "/file");
    EXPECT_EQ(FileOf(fd).reg().size(), 11u) << "as it was when it was saved";
  }
}

TEST_P(FdCollectorTest, EpollsNameWhatWasMovedAndRefuseWhatIsLost) {
  Start([] {
    epoll_create1(0);  // 3
    epoll_create1(0);  // 4
    eventfd(0, 0);     // 5
    epoll_event event = {.events = EPOLLIN, .data = {.u64 = 1}};
    epoll_ctl(3, EPOLL_CTL_ADD, 5, &event);
    dup2(5, 20);
    eventfd(0, 0);  // 6, which a child keeps open
    epoll_ctl(4, EPOLL_CTL_ADD, 6, &event);
    if (fork() == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (int fd = 0; fd < 600; ++fd) {
        if (fd != 6) close(fd);
      }
      for (;;) pause();
    }
    close(5);
    close(6);
  });
  const auto fds = Collect();
  ASSERT_TRUE(fds.ok()) << fds.status();
  ASSERT_THAT(FileOf(fds->fdinfo[3]).epfd().tfd(), SizeIs(1));
  EXPECT_EQ(FileOf(fds->fdinfo[3]).epfd().tfd(0).tfd(), 20u);
  ASSERT_THAT(files_.refusals(), SizeIs(1));
  EXPECT_THAT(files_.refusals().front().resource, HasSubstr("fd 4 (epoll, "));
}

TEST_P(FdCollectorTest, PeeksAtARunningTaskWithTheSameResult) {
  Start([] {
    open("file", O_RDWR | O_CREAT, 0640);  // 3
    (void)!write(3, "content", 7);
    unlink("file");
  });
  rules_.ghost_limit = 6;
  const auto task = ProcDir::OpenTask(child_);
  ASSERT_TRUE(task.ok());
  const auto descriptors = PeekDescriptors(*task);
  ASSERT_TRUE(descriptors.ok()) << descriptors.status();
  const auto refusals = RefuseDescriptors(child_, *descriptors, rules_);
  ASSERT_TRUE(refusals.ok()) << refusals.status();
  ASSERT_THAT(*refusals, SizeIs(1));
  ASSERT_TRUE(Collect().ok());
  ASSERT_THAT(files_.refusals(), SizeIs(1));
  EXPECT_EQ(refusals->front().resource, files_.refusals().front().resource);
}

// With F_DUPFD_QUERY where this kernel has it, and with kcmp(2).
INSTANTIATE_TEST_SUITE_P(
    Queries, FdCollectorTest,
    testing::Values(KernelFeatures::Probe().value().Has(KernelFeature::kDupfdQuery), false));

}  // namespace
}  // namespace dumpctl
