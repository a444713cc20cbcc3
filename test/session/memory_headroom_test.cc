#include "dump/session/memory_headroom.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "proc/memory_parsers.h"
#include "proc/proc_fs.h"

namespace dumpctl {
namespace {

TEST(MemoryHeadroomTest, IsAtMostWhatTheHostHas) {
  const auto task = ProcDir::OpenTask(getpid());
  ASSERT_TRUE(task.ok());
  const auto headroom = MemoryHeadroom(*task);
  ASSERT_TRUE(headroom.ok()) << headroom.status();
  const auto proc = ProcDir::OpenRoot();
  const auto available = ParseMemAvailable(*proc->Read("meminfo"));
  ASSERT_TRUE(available.ok());
  // Others take and give back meanwhile.
  EXPECT_LE(*headroom, *available + (uint64_t{1} << 30));
  EXPECT_GT(*headroom, 0u);
}

// A cgroup of version 1 or 2 with a limit, and a child in it.
class Limited {
 public:
  explicit Limited(uint64_t limit) {
    for (const std::string root : {"/sys/fs/cgroup/memory", "/sys/fs/cgroup"}) {
      path_ = root + "/dumpctl-headroom-" + std::to_string(getpid());
      if (mkdir(path_.c_str(), 0755) != 0) continue;
      if (Write("memory.limit_in_bytes", limit) || Write("memory.max", limit)) break;
      rmdir(path_.c_str());
      path_.clear();
    }
    if (path_.empty()) return;
    child_ = fork();
    if (child_ == 0) {
      for (;;) pause();
    }
    in_ = Write("cgroup.procs", static_cast<uint64_t>(child_));
  }
  ~Limited() {
    if (child_ > 0) {
      kill(child_, SIGKILL);
      waitpid(child_, nullptr, 0);
    }
    if (!path_.empty()) rmdir(path_.c_str());
  }
  bool in() const { return in_; }
  pid_t child() const { return child_; }

 private:
  bool Write(const std::string& name, uint64_t value) const {
    if (!std::filesystem::exists(path_ + "/" + name)) return false;
    std::ofstream file(path_ + "/" + name);
    file << value << std::flush;
    return file.good();
  }

  std::string path_;
  pid_t child_ = 0;
  bool in_ = false;
};

TEST(MemoryHeadroomTest, CgroupsLimitIt) {
  constexpr uint64_t kLimit = 64 << 20;
  const Limited limited(kLimit);
  if (!limited.in()) GTEST_SKIP() << "memory cgroups cannot be made here";
  const auto task = ProcDir::OpenTask(limited.child());
  ASSERT_TRUE(task.ok());
  const auto headroom = MemoryHeadroom(*task);
  ASSERT_TRUE(headroom.ok()) << headroom.status();
  EXPECT_LE(*headroom, kLimit);
  EXPECT_GT(*headroom, kLimit / 2);
}

}  // namespace
}  // namespace dumpctl
