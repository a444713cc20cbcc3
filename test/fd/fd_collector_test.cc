#include "dump/fd/fd_collector.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proc/kernel_features.h"
#include "test/fd/opening_child.h"

namespace dumpctl {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Optional;
using testing::SizeIs;

class FdCollectorTest : public testing::TestWithParam<bool> {
 protected:
  struct CollectedFds {
    std::vector<image::fdinfo_entry> fdinfo;
    std::vector<PipeData> pipes;
    std::vector<PipeData> fifos;
  };

  absl::StatusOr<CollectedFds> Collect() {
    auto task = ProcDir::OpenTask(child_.pid());
    if (!task.ok()) return task.status();
    const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, child_.pid(), 0)));
    auto descriptors = ReadDescriptors(*task, child_.pid(), BorrowedFd(pidfd), index_);
    if (!descriptors.ok()) return descriptors.status();
    auto pipes = TeePipes(*descriptors);
    if (!pipes.ok()) return pipes.status();
    files_ = FileTable(rules_, ghosts_);
    auto collector = FdCollector::Create(*pipes, GetParam(), watched_, files_);
    if (!collector.ok()) return collector.status();
    auto fdinfo = collector->Collect(child_.pid(), *descriptors);
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

  OpeningChild child_;
  const std::string& dir_ = child_.directory();
  OpenFileIndex* index_ = nullptr;
  FileRules rules_;
  GhostTable ghosts_;
  WatchedFiles watched_;
  FileTable files_;
};

TEST_P(FdCollectorTest, SharedAndSeparateOpenFiles) {
  child_.Start([] {
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
  child_.Start(open_files);
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

TEST_P(FdCollectorTest, OwnersAndSignals) {
  child_.Start([] {
    open("file", O_RDWR | O_CREAT, 0640);  // 3
    f_owner_ex owner = {F_OWNER_PID, getpid()};
    fcntl(3, F_SETOWN_EX, &owner);
    fcntl(3, F_SETSIG, SIGUSR2);
  });
  const auto fds = Collect();
  ASSERT_TRUE(fds.ok()) << fds.status();
  const image::fown_entry& owner = FileOf(fds->fdinfo[3]).reg().fown();
  EXPECT_EQ(owner.pid(), static_cast<uint32_t>(child_.pid()));
  EXPECT_EQ(owner.pid_type(), static_cast<uint32_t>(F_OWNER_PID));
  EXPECT_EQ(owner.signum(), static_cast<uint32_t>(SIGUSR2));
  EXPECT_EQ(owner.uid(), getuid());
}

TEST_P(FdCollectorTest, PipesAndFifosOnce) {
  child_.Start([] {
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
  child_.Start([] {
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
    EXPECT_EQ(refusal.pid, child_.pid());
    EXPECT_FALSE(refusal.remedy.empty());
    resources.push_back(refusal.resource);
  }
  EXPECT_THAT(resources,
              ElementsAre(HasSubstr("fd 3 (regular file, " + dir_ + "/file (deleted)"),
                          HasSubstr("fd 5 (pipe, pipe:["), HasSubstr("fd 6 (pipe, pipe:["),
                          HasSubstr("fd 7 (inotify, ")));
}

TEST_P(FdCollectorTest, DeletedFilesAreRemappedToTheirImages) {
  child_.Start([] {
    open("file", O_RDWR | O_CREAT, 0640);  // 3
    open("file", O_RDONLY);                // 4
    unlink("file");
    open("log", O_RDWR | O_CREAT, 0640);  // 5
  });
  struct stat stat = {};
  ASSERT_EQ(fstatat(AT_FDCWD, absl::StrCat("/proc/", child_.pid(), "/fd/3").c_str(), &stat, 0), 0);
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
  child_.Start([] {
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
  child_.Start([] {
    open("file", O_RDWR | O_CREAT, 0640);  // 3
    (void)!write(3, "content", 7);
    unlink("file");
  });
  rules_.ghost_limit = 6;
  const auto task = ProcDir::OpenTask(child_.pid());
  ASSERT_TRUE(task.ok());
  const auto descriptors = PeekDescriptors(*task);
  ASSERT_TRUE(descriptors.ok()) << descriptors.status();
  const auto refusals = RefuseDescriptors(child_.pid(), *descriptors, rules_);
  ASSERT_TRUE(refusals.ok()) << refusals.status();
  ASSERT_THAT(*refusals, SizeIs(1));
  ASSERT_TRUE(Collect().ok());
  ASSERT_THAT(files_.refusals(), SizeIs(1));
  EXPECT_EQ(refusals->front().resource, files_.refusals().front().resource);
}

TEST_P(FdCollectorTest, DescribesTheFileThatHasTheNumberByThen) {
  child_.Start([] { open("file", O_RDWR | O_CREAT, 0640); });  // 3
  const auto task = ProcDir::OpenTask(child_.pid());
  ASSERT_TRUE(task.ok());
  auto glances = GlanceAtDescriptors(*task);
  ASSERT_TRUE(glances.ok()) << glances.status();
  ASSERT_EQ(glances->back().number, 3);
  struct stat stat = {};
  ASSERT_EQ(lstat((dir_ + "/file").c_str(), &stat), 0);
  EXPECT_EQ(glances->back().stat.st_ino, stat.st_ino);
  // As if it had been another file at the first look, and one were closed since.
  glances->back().stat.st_ino += 1;
  glances->push_back({.number = 4});
  const auto descriptors = PeekDescriptors(*task, *glances);
  ASSERT_TRUE(descriptors.ok()) << descriptors.status();
  ASSERT_EQ(descriptors->size(), glances->size() - 1);
  EXPECT_EQ(descriptors->back().number, 3);
  EXPECT_EQ(descriptors->back().stat.st_ino, stat.st_ino);
  EXPECT_THAT(descriptors->back().link, Optional(EndsWith("/file")));
}

// With F_DUPFD_QUERY where this kernel has it, and with kcmp(2).
INSTANTIATE_TEST_SUITE_P(
    Queries, FdCollectorTest,
    testing::Values(KernelFeatures::Probe().value().Has(KernelFeature::kDupfdQuery), false));

}  // namespace
}  // namespace dumpctl
