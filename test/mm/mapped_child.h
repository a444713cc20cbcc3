#ifndef TEST_MM_MAPPED_CHILD_H_
#define TEST_MM_MAPPED_CHILD_H_

#include <signal.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "gtest/gtest.h"
#include "proc/map_file_opener.h"
#include "proc/proc_fs.h"
#include "proc/smaps_parser.h"
#include "proc/vma_list.h"

namespace dumpctl {

inline constexpr size_t kPage = 4096;

// A child that laid out some memory and waits until it is killed. What `lay_out` returns is the
// address of what it made (null: it failed); only plain system calls are legal in it.
class MappedChild {
 public:
  explicit MappedChild(const std::function<void*()>& lay_out) {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    pid_ = fork();
    if (pid_ == 0) {
      void* const made = lay_out();
      if (write(ready[1], &made, sizeof made) != sizeof made) _exit(1);
      for (;;) pause();
    }
    close(ready[1]);
    void* made = nullptr;
    EXPECT_EQ(read(ready[0], &made, sizeof made), static_cast<ssize_t>(sizeof made));
    EXPECT_NE(made, nullptr) << "the child could not lay out its memory";
    base_ = RemoteAddress(reinterpret_cast<uint64_t>(made));
    close(ready[0]);
  }
  ~MappedChild() { Kill(); }
  MappedChild(const MappedChild&) = delete;
  MappedChild& operator=(const MappedChild&) = delete;

  pid_t pid() const { return pid_; }
  RemoteAddress base() const { return base_; }
  RemoteAddress Page(uint64_t n) const { return base_ + n * kPage; }

  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(std::exchange(pid_, 0), nullptr, 0);
  }

  ProcDir Dir() const { return *ProcDir::OpenTask(pid_); }

  VmaList Vmas() const {
    const ProcDir dir = Dir();
    auto mappings = ParseSmaps(*dir.Read("smaps"));
    EXPECT_TRUE(mappings.ok()) << mappings.status();
    ProcMapFileOpener opener(dir, *KernelTmpfsDevice());
    auto list = VmaList::Build(*std::move(mappings), opener);
    EXPECT_TRUE(list.ok()) << list.status();
    return *std::move(list);
  }

 private:
  pid_t pid_ = 0;
  RemoteAddress base_;
};

// For children: memory, or null.
inline char* Map(size_t pages, int prot = PROT_READ | PROT_WRITE,
                 int flags = MAP_PRIVATE | MAP_ANONYMOUS, int fd = -1) {
  void* const at = mmap(nullptr, pages * kPage, prot, flags, fd, 0);
  return at == MAP_FAILED ? nullptr : static_cast<char*>(at);
}

// Fills a page with words that tell its number and their place.
inline void FillPage(char* page, uint64_t number) {
  auto* const words = reinterpret_cast<uint64_t*>(page);
  for (size_t i = 0; i < kPage / sizeof *words; ++i) words[i] = number << 16 | i;
}
inline bool IsFilledPage(const char* page, uint64_t number) {
  const auto* const words = reinterpret_cast<const uint64_t*>(page);
  for (size_t i = 0; i < kPage / sizeof *words; ++i) {
    if (words[i] != (number << 16 | i)) return false;
  }
  return true;
}

}  // namespace dumpctl

#endif  // TEST_MM_MAPPED_CHILD_H_
