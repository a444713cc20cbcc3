#ifndef TEST_SESSION_LIMITED_CHILD_H_
#define TEST_SESSION_LIMITED_CHILD_H_

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace dumpctl {

// A cgroup of version 1 or 2 with a limit, and a child in it.
class LimitedChild {
 public:
  // Of memory, in bytes.
  explicit LimitedChild(uint64_t limit)
      : LimitedChild("memory", {"memory.limit_in_bytes", "memory.max"}, limit) {}
  // By a controller, whose limit is in one of these files.
  LimitedChild(const std::string& controller, const std::vector<std::string>& files,
               uint64_t limit) {
    for (const std::string& root :
         {"/sys/fs/cgroup/" + controller, std::string("/sys/fs/cgroup")}) {
      path_ = root + "/dumpctl-limited-" + std::to_string(getpid());
      if (mkdir(path_.c_str(), 0755) != 0) continue;
      if (std::any_of(files.begin(), files.end(),
                      [&](const std::string& file) { return Write(file, limit); }))
        break;
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
  ~LimitedChild() {
    if (child_ > 0) {
      kill(child_, SIGKILL);
      waitpid(child_, nullptr, 0);
    }
    if (!path_.empty()) rmdir(path_.c_str());
  }
  // False where no such cgroup can be made.
  bool in() const { return in_; }
  pid_t pid() const { return child_; }

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

}  // namespace dumpctl

#endif  // TEST_SESSION_LIMITED_CHILD_H_
