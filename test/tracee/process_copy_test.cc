#include "dump/tracee/process_copy.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dump/tracee/remote_memory.h"
#include "gtest/gtest.h"
#include "proc/proc_fs.h"
#include "proc/stat_parser.h"
#include "test/tracee/child.h"

namespace dumpctl {
namespace {

constexpr char kBefore[] = "as it was";

// In memory that children have, too.
class SharedText {
 public:
  SharedText() {
    void* const at = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    text_ = static_cast<char*>(at);
  }
  ~SharedText() { munmap(text_, 4096); }
  char* get() const { return text_; }

 private:
  char* text_;
};

absl::Time Soon() { return absl::Now() + absl::Seconds(5); }

absl::StatusOr<TaskStat> StatOf(pid_t pid) {
  const auto dir = ProcDir::OpenTask(pid);
  if (!dir.ok()) return dir.status();
  return ParseStat(dir->Read("stat").value_or(""));
}

std::string ChildrenOf(pid_t pid) {
  const std::string id = std::to_string(pid);
  return ProcDir::OpenTask(pid)->Read("task/" + id + "/children").value_or("?");
}

char private_text[16];

// Until SIGUSR1; ends well when it has no child then, not even one that only __WALL finds.
int AwaitSignal(int ready) {
  sigset_t usr1;
  sigemptyset(&usr1);
  sigaddset(&usr1, SIGUSR1);
  sigprocmask(SIG_BLOCK, &usr1, nullptr);
  write(ready, "", 1);
  if (sigwaitinfo(&usr1, nullptr) != SIGUSR1) return 1;
  return waitpid(-1, nullptr, __WALL | WNOHANG) == -1 && errno == ECHILD ? 0 : 2;
}

TEST(ProcessCopyTest, HoldsMemoryAsItWas) {
  const Child child([](int ready) {
    std::strcpy(private_text, kBefore);
    write(ready, "", 1);
    for (;;) pause();
    return 0;
  });
  auto task = FrozenTask::Freeze(child.pid(), Soon());
  ASSERT_TRUE(task.ok()) << task.status();
  auto copy = ProcessCopy::Make(*task);
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ(StatOf(copy->pid())->ppid, child.pid());
  EXPECT_EQ(StatOf(copy->pid())->exit_signal, 0);
  EXPECT_EQ(Maps(copy->pid()).size() > 100, true);
  const uint64_t start_time = StatOf(child.pid())->start_time;
  ASSERT_TRUE(task->Resume().ok());

  const RemoteAddress address(reinterpret_cast<uint64_t>(private_text));
  const auto theirs = RemoteMemory::Open(*ProcDir::OpenTask(child.pid()));
  std::array<char, sizeof kBefore> changed = {"as it is "};
  // Not traced any more, it can be written to by us, who are root or its parent.
  ASSERT_TRUE(theirs->Write(address, std::as_bytes(std::span(changed))).ok());
  const auto memory = RemoteMemory::Open(copy->dir());
  ASSERT_TRUE(memory.ok()) << memory.status();
  const auto kept = memory->Read(address, sizeof kBefore);
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(std::memcmp(kept->data(), kBefore, sizeof kBefore), 0);

  const pid_t inside = copy->pid_inside();
  EXPECT_FALSE(ReapCopy(child.pid(), start_time, inside, Soon()).ok()) << "it has not ended";
  copy->End();
  EXPECT_NE(ChildrenOf(child.pid()), "");
  ASSERT_TRUE(ReapCopy(child.pid(), start_time, inside, Soon()).ok());
  EXPECT_EQ(ChildrenOf(child.pid()), "");
  EXPECT_TRUE(ReapCopy(child.pid(), start_time, inside, Soon()).ok()) << "there is none any more";
}

TEST(ProcessCopyTest, StandsUntilItIsKilled) {
  const Child child(AwaitSignal);
  auto task = FrozenTask::Freeze(child.pid(), Soon());
  ASSERT_TRUE(task.ok()) << task.status();
  const auto copy = ProcessCopy::Make(*task);
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_TRUE(copy->Stands());
  ASSERT_TRUE(task->Resume().ok());
  EXPECT_TRUE(copy->Stands());
  // As the kernel does where memory comes to an end.
  kill(copy->pid(), SIGKILL);
  EXPECT_FALSE(copy->Stands());
}

TEST(ProcessCopyTest, LeavesNoTraceInItsMaker) {
  Child child(AwaitSignal);
  {
    auto task = FrozenTask::Freeze(child.pid(), Soon());
    ASSERT_TRUE(task.ok()) << task.status();
    const std::string maps = Maps(child.pid());
    auto copy = ProcessCopy::Make(*task);
    ASSERT_TRUE(copy.ok()) << copy.status();
    EXPECT_EQ(Maps(child.pid()), maps);
    const uint64_t start_time = StatOf(child.pid())->start_time;
    ASSERT_TRUE(task->Resume().ok());
    copy->End();
    ASSERT_TRUE(ReapCopy(child.pid(), start_time, copy->pid_inside(), Soon()).ok());
  }
  kill(child.pid(), SIGUSR1);
  EXPECT_EQ(child.Join(), 0);
}

TEST(ProcessCopyTest, AnotherProcessOfThePidIsLeftAlone) {
  const Child child([](int ready) {
    write(ready, "", 1);
    for (;;) pause();
    return 0;
  });
  const uint64_t start_time = StatOf(child.pid())->start_time;
  EXPECT_TRUE(ReapCopy(child.pid(), start_time + 1, 1, Soon()).ok());
}

TEST(ProcessCopyTest, DiesWithItsTracer) {
  const Child child([](int ready) {
    write(ready, "", 1);
    for (;;) pause();
    return 0;
  });
  const SharedText shared;
  // Who is killed while it holds a copy.
  Child tracer([&](int ready) {
    auto task = FrozenTask::Freeze(child.pid(), Soon());
    if (!task.ok()) return 1;
    auto copy = ProcessCopy::Make(*task);
    if (!copy.ok() || !task->Resume().ok()) return 1;
    std::memcpy(shared.get(), std::to_string(copy->pid()).c_str(), 16);
    write(ready, "", 1);
    for (;;) pause();
  });
  const pid_t copy = std::stoi(shared.get());
  ASSERT_EQ(StatOf(copy)->ppid, child.pid());
  kill(tracer.pid(), SIGKILL);
  tracer.Join();
  for (int i = 0; i < 1000 && !StatOf(copy)->zombie(); ++i) usleep(1000);
  EXPECT_TRUE(StatOf(copy)->zombie());
  EXPECT_FALSE(StatOf(child.pid())->zombie());
  EXPECT_TRUE(ReapCopy(child.pid(), StatOf(child.pid())->start_time, copy, Soon()).ok());
  EXPECT_EQ(ChildrenOf(child.pid()), "");
}

TEST(ProcessCopyTest, ALimitOfProcessesIsAnErrorAndChangesNothing) {
  if (getuid() != 0) GTEST_SKIP() << "another user's limit takes root";
  Child child([](int ready) {
    const rlimit none = {1, 1};
    setrlimit(RLIMIT_NPROC, &none);
    if (setresuid(64123, 64123, 64123) != 0) return 4;
    return AwaitSignal(ready);
  });
  {
    auto task = FrozenTask::Freeze(child.pid(), Soon());
    ASSERT_TRUE(task.ok()) << task.status();
    const auto copy = ProcessCopy::Make(*task);
    EXPECT_FALSE(copy.ok());
    EXPECT_EQ(copy.status().code(), absl::ErrnoToStatusCode(EAGAIN)) << copy.status();
    ASSERT_TRUE(task->Resume().ok());
  }
  kill(child.pid(), SIGUSR1);
  EXPECT_EQ(child.Join(), 0);
}

}  // namespace
}  // namespace dumpctl
