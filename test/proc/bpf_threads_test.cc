#include "proc/bpf_threads.h"

#include <linux/futex.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "proc/kernel_features.h"
#include "proc/proc_fs.h"
#include "proc/status_parser.h"
#include "proc/thread_rows.h"

#if defined(__SANITIZE_ADDRESS__)
// It would give each thread an alternate stack, and free at its end whichever that then has.
extern "C" const char* __asan_default_options() { return "use_sigaltstack=0"; }
#endif

namespace dumpctl {
namespace {

pid_t Tid() { return static_cast<pid_t>(syscall(SYS_gettid)); }

// A thread that has done something to itself, and waits.
class Waiting {
 public:
  explicit Waiting(std::function<void()> deed)
      : thread_([this, deed = std::move(deed)] {
          deed();
          std::unique_lock lock(mutex_);
          tid_ = Tid();
          changed_.notify_all();
          changed_.wait(lock, [this] { return ended_; });
        }) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return tid_ != 0; });
  }
  ~Waiting() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  pid_t tid() const { return tid_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  pid_t tid_ = 0;
  bool ended_ = false;
  std::thread thread_;
};

class BpfThreadsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!KernelFeatures::Probe()->Has(KernelFeature::kBpfTask)) GTEST_SKIP() << "no BPF";
    auto loaded = BpfThreads::Load();
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    threads_.emplace(*std::move(loaded));
  }

  ThreadRow RowOf(pid_t tid, pid_t pid = getpid()) {
    const auto rows = threads_->Read(pid);
    EXPECT_TRUE(rows.ok()) << rows.status();
    for (const ThreadRow& row : *rows) {
      if (row.tid == tid) return row;
    }
    ADD_FAILURE() << "no thread " << tid;
    return {};
  }

  std::optional<BpfThreads> threads_;
};

// As those see it who ask for it thread by thread.
void ExpectAsProcfsHasIt(const ThreadRow& row) {
  auto self = ProcDir::OpenTask(getpid());
  const auto text = self->ReadWhole("task/" + std::to_string(row.tid) + "/status");
  ASSERT_TRUE(text.ok()) << text.status();
  const auto status = ParseStatus(*text);
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(row.comm, *TaskName(*status));
  EXPECT_EQ(row.no_new_privs, status->no_new_privs);
  EXPECT_EQ(row.seccomp_mode, status->seccomp_mode);
  EXPECT_EQ(row.pending, status->pending);
  void* list = nullptr;
  size_t size = 0;
  ASSERT_EQ(syscall(SYS_get_robust_list, row.tid, &list, &size), 0);
  EXPECT_EQ(row.robust_list, reinterpret_cast<uint64_t>(list));
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t rest[4];
  } attr = {};
  ASSERT_EQ(syscall(SYS_sched_getattr, row.tid, &attr, sizeof attr, 0), 0);
  EXPECT_EQ(row.policy, attr.policy);
  EXPECT_EQ(row.nice, attr.nice);
  EXPECT_EQ(row.priority, attr.priority);
}

// What the thread that calls it says of itself.
struct Own {
  stack_t altstack = {};
  uint64_t clear_child_tid = 0;
  int pdeath_signal = 0;
  int securebits = 0;
};
Own AskOneself() {
  Own own;
  sigaltstack(nullptr, &own.altstack);
  prctl(PR_GET_TID_ADDRESS, &own.clear_child_tid);
  prctl(PR_GET_PDEATHSIG, &own.pdeath_signal);
  own.securebits = prctl(PR_GET_SECUREBITS);
  return own;
}

void ExpectAsItSays(const ThreadRow& row, const Own& own) {
  EXPECT_EQ(row.altstack_base, reinterpret_cast<uint64_t>(own.altstack.ss_sp));
  EXPECT_EQ(row.altstack_size, own.altstack.ss_size);
  EXPECT_EQ(row.altstack_flags, static_cast<uint32_t>(own.altstack.ss_flags));
  EXPECT_EQ(row.clear_child_tid, own.clear_child_tid);
  EXPECT_EQ(row.pdeath_signal, static_cast<uint32_t>(own.pdeath_signal));
  EXPECT_EQ(row.securebits, static_cast<uint32_t>(own.securebits));
}

TEST_F(BpfThreadsTest, SaysWhatEachThreadSays) {
  Own plain, odd;
  const Waiting one([&plain] { plain = AskOneself(); });
  std::vector<char> stack(1 << 16);
  const Waiting other([&] {
    prctl(PR_SET_NAME, "odd \\ \n name");
    setpriority(PRIO_PROCESS, static_cast<id_t>(Tid()), 7);
    prctl(PR_SET_PDEATHSIG, SIGUSR2);
    const stack_t altstack = {.ss_sp = stack.data(), .ss_flags = 0, .ss_size = stack.size()};
    sigaltstack(&altstack, nullptr);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    sigset_t usr1;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &usr1, nullptr);
    pthread_kill(pthread_self(), SIGUSR1);
    odd = AskOneself();
  });
  const ThreadRow row = RowOf(one.tid());
  ExpectAsProcfsHasIt(row);
  ExpectAsItSays(row, plain);
  EXPECT_EQ(row.altstack_flags, static_cast<uint32_t>(SS_DISABLE));
  const ThreadRow odd_row = RowOf(other.tid());
  ExpectAsProcfsHasIt(odd_row);
  ExpectAsItSays(odd_row, odd);
  EXPECT_EQ(odd_row.nice, 7);
  EXPECT_EQ(odd_row.pending, uint64_t{1} << (SIGUSR1 - 1));
  EXPECT_TRUE(odd_row.no_new_privs);
  EXPECT_FALSE(odd_row.has_tls);
  EXPECT_EQ(odd_row.credentials, row.credentials);
  EXPECT_EQ(odd_row.cgroups, row.cgroups);
}

TEST_F(BpfThreadsTest, SaysHowItIsScheduled) {
  int error = 0;
  const Waiting thread([&error] {
    const sched_param param = {.sched_priority = 3};
    error = pthread_setschedparam(pthread_self(), SCHED_RR, &param);
  });
  if (error != 0) GTEST_SKIP() << "no real-time scheduling here";
  const ThreadRow row = RowOf(thread.tid());
  EXPECT_EQ(row.policy, static_cast<uint32_t>(SCHED_RR));
  EXPECT_EQ(row.priority, 3u);
  EXPECT_EQ(row.nice, 0);
  ExpectAsProcfsHasIt(row);
}

TEST_F(BpfThreadsTest, TellsCredentialsApart) {
  const Waiting plain([] {});
  // Raw calls, of this thread alone.
  const Waiting other([] { syscall(SYS_setresgid, -1, 4711, -1); });
  EXPECT_NE(RowOf(plain.tid()).credentials, RowOf(other.tid()).credentials);
  EXPECT_EQ(RowOf(plain.tid()).credentials, RowOf(getpid()).credentials);
}

TEST_F(BpfThreadsTest, SaysWhichThreadHasChildren) {
  pid_t child = 0;
  {
    const Waiting parent([&child] {
      child = fork();
      if (child == 0) {
        pause();
        _exit(0);
      }
    });
    EXPECT_TRUE(RowOf(parent.tid()).has_children);
    EXPECT_FALSE(RowOf(getpid()).has_children);
    EXPECT_EQ(RowOf(child, child).tid, child);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    EXPECT_FALSE(RowOf(parent.tid()).has_children);
  }
}

TEST_F(BpfThreadsTest, ReadsMoreThanTheKernelGivesAtOnce) {
  constexpr size_t kThreads = 400;
  std::vector<std::unique_ptr<Waiting>> threads;
  std::vector<pid_t> tids = {getpid()};
  for (size_t i = 0; i < kThreads; ++i) {
    threads.push_back(std::make_unique<Waiting>([] {}));
    tids.push_back(threads.back()->tid());
  }
  const auto rows = threads_->Read(getpid());
  ASSERT_TRUE(rows.ok()) << rows.status();
  std::vector<pid_t> found;
  for (const ThreadRow& row : *rows) found.push_back(row.tid);
  std::sort(found.begin(), found.end());
  std::sort(tids.begin(), tids.end());
  EXPECT_EQ(found, tids);
  ThreadRows reader(true);
  EXPECT_TRUE(reader.Read(getpid(), tids.size()).empty());  // nothing is loaded yet
  EXPECT_TRUE(reader.Learn(getpid(), 2).empty());           // too few to be worth it
  EXPECT_EQ(reader.Learn(getpid(), tids.size()).size(), tids.size());
  EXPECT_EQ(reader.Read(getpid(), tids.size()).size(), tids.size());
  EXPECT_TRUE(ThreadRows(false).Learn(getpid(), tids.size()).empty());
}

TEST_F(BpfThreadsTest, SaysWhoIsGone) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  const auto rows = threads_->Read(child);
  EXPECT_TRUE(!rows.ok() || rows->empty());
}

}  // namespace
}  // namespace dumpctl
