#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <fstream>
#include <sstream>
#include <string>

#include "dump/tracee/frozen_tree.h"
#include "gtest/gtest.h"
#include "test/tracee/child.h"

namespace dumpctl {
namespace {

// A cgroup of version 2 whose processes stand.
class FrozenCgroup {
 public:
  FrozenCgroup() : path_("/sys/fs/cgroup/unified/dumpctl-tree-" + std::to_string(getpid())) {
    made_ = mkdir(path_.c_str(), 0755) == 0;
  }
  ~FrozenCgroup() {
    for (int i = 0; made_ && i < 200 && rmdir(path_.c_str()) < 0; ++i) usleep(5000);
  }
  FrozenCgroup(const FrozenCgroup&) = delete;
  FrozenCgroup& operator=(const FrozenCgroup&) = delete;

  bool made() const { return made_; }
  void Take(pid_t pid) const { std::ofstream(path_ + "/cgroup.procs") << pid << std::flush; }
  void Set(bool frozen) const { std::ofstream(path_ + "/cgroup.freeze") << frozen << std::flush; }
  bool IsFrozen() const {
    std::ifstream file(path_ + "/cgroup.events");
    std::stringstream text;
    text << file.rdbuf();
    return text.str().find("frozen 1") != std::string::npos;
  }

 private:
  const std::string path_;
  bool made_;
};

// Kernel trap: it interrupts calls as a tracer does, and who is thawed before being asked to stop
// finds that out.
TEST(FrozenCgroupTest, NoCallIsInterruptedWhereAProcessIsTracedByOthers) {
  const FrozenCgroup cgroup;
  if (!cgroup.made()) GTEST_SKIP() << "no cgroups of version 2 to write to";
  struct Told {
    std::atomic<int> error;
    pid_t traced;
  };
  auto* const told = static_cast<Told*>(
      mmap(nullptr, sizeof(Told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const Child root([told](int ready) {
    const pid_t child = fork();
    while (child == 0) pause();
    told->traced = child;
    Ready(ready);
    epoll_event event;
    told->error = epoll_wait(epoll_create1(0), &event, 1, -1) < 0 ? errno : 1;
    for (;;) pause();
    return 0;
  });
  const Child tracer([told](int ready) {
    if (ptrace(PTRACE_SEIZE, told->traced, nullptr, nullptr) != 0) return 1;
    Ready(ready);
    for (;;) pause();
  });
  WaitUntilIn(root.pid(), SYS_epoll_wait);
  for (const pid_t pid : {root.pid(), told->traced}) cgroup.Take(pid);
  cgroup.Set(true);
  WaitUntil(root.pid(), "stands", [&cgroup] { return cgroup.IsFrozen(); });
  int thawed = 0;
  const auto thaw = [&] {
    ++thawed;
    cgroup.Set(false);
    return absl::OkStatus();
  };
  EXPECT_TRUE(absl::IsPermissionDenied(FrozenTree::Freeze(root.pid(), Soon(), {}, thaw).status()));
  EXPECT_EQ(thawed, 1);
  WaitUntil(root.pid(), "waits on",
            [&] { return told->error != 0 || IsIn(root.pid(), SYS_epoll_wait); });
  EXPECT_EQ(told->error, 0);
  kill(told->traced, SIGKILL);
}

}  // namespace
}  // namespace dumpctl
