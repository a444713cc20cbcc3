// A program with many threads in every kind of wait and work, each of which watches that nothing
// happens to it that would not happen without a dump. Says so in a file that it shares with its
// watcher.
//
//   busy_target STATE-FILE MEBIBYTES
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "test/inject/busy_registers.h"
#include "test/inject/busy_state.h"

namespace dumpctl {
namespace {

constexpr size_t kPage = 4096;

BusyState* state;
int poll_pipe[2];
int message_pipe[2];

void Fail(Worker worker, const char* what, long result) {
  const int error = errno;
  if (state->failed.exchange(1) != 0) return;
  snprintf(state->error, sizeof state->error, "%s: %s: %ld, errno %d (%s)", kWorkerNames[worker],
           what, result, error, strerrorname_np(error));
}

void Count(Worker worker) { state->workers[worker].count.fetch_add(1); }

int64_t Nanoseconds() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

void SleepOnce(Worker worker, long nanoseconds) {
  const int64_t start = Nanoseconds();
  const timespec span = {0, nanoseconds};
  const int slept = nanosleep(&span, nullptr);
  if (slept != 0) Fail(worker, "nanosleep was interrupted", slept);
  if (Nanoseconds() - start < nanoseconds) Fail(worker, "nanosleep was too short", nanoseconds);
  Count(worker);
}

// All of them at once would leave no processor to anybody else.
void Breathe() { usleep(3000); }

long Futex(std::atomic<uint32_t>& word, int operation, uint32_t value, const timespec* timeout) {
  return syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, value, timeout, nullptr, 0);
}

void PollForever() {
  pollfd fd = {poll_pipe[0], POLLIN, 0};
  const int ready = poll(&fd, 1, -1);
  if (ready != 1 || state->want_wake == 0) Fail(kPoll, "poll returned", ready);
  char byte;
  if (read(poll_pipe[0], &byte, 1) != 1) Fail(kPoll, "read", -1);
  state->woken = 1;
  for (;;) pause();
}

void TimeOut() {
  static std::atomic<uint32_t> word;
  const int64_t start = Nanoseconds();
  const timespec span = {0, 4'000'000};
  const long waited = Futex(word, FUTEX_WAIT, 0, &span);
  if (waited != -1 || errno != ETIMEDOUT) Fail(kTimedFutex, "wait without a waker", waited);
  if (Nanoseconds() - start < span.tv_nsec) Fail(kTimedFutex, "wait was too short", waited);
  Count(kTimedFutex);
}

// Each waits for its turn, and gives it to the other.
void TakeTurns(Worker worker) {
  static std::atomic<uint32_t> turn{kPing};
  const uint32_t other = worker == kPing ? kPong : kPing;
  while (turn == other) {
    const long waited = Futex(turn, FUTEX_WAIT, other, nullptr);
    if (waited != 0 && errno != EAGAIN) Fail(worker, "futex wait", waited);
  }
  if (worker == kPing && state->workers[kPing].count % 16 == 0) Breathe();
  turn = other;
  if (Futex(turn, FUTEX_WAKE, 1, nullptr) < 0) Fail(worker, "futex wake", -1);
  Count(worker);
}

void Compute() {
  static const uint64_t kRight = VectorChecksum();
  const uint64_t sum = VectorChecksum();
  if (sum != kRight) Fail(kVector, "vector registers gave", static_cast<long>(sum));
  Count(kVector);
  Breathe();
}

void Hold() {
  if (!GeneralRegistersHold()) Fail(kRegisters, "a register changed", 0);
  Count(kRegisters);
  Breathe();
}

void MapAndUnmap() {
  if (state->want_steady != 0) {
    state->steady = 1;
    usleep(1000);
    Count(kMmap);
    return;
  }
  state->steady = 0;
  constexpr size_t kSize = 16 * kPage;
  void* const memory =
      mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    Fail(kMmap, "mmap", -1);
    return;
  }
  auto* const words = static_cast<uint64_t*>(memory);
  const uint64_t first = state->workers[kMmap].count;
  for (size_t i = 0; i < kSize / sizeof *words; i += 64) words[i] = first + i;
  for (size_t i = 0; i < kSize / sizeof *words; i += 64) {
    if (words[i] != first + i) Fail(kMmap, "memory changed", static_cast<long>(i));
  }
  if (mprotect(memory, kPage, PROT_READ) != 0) Fail(kMmap, "mprotect", -1);
  if (munmap(memory, kSize) != 0) Fail(kMmap, "munmap", -1);
  Count(kMmap);
  Breathe();
}

void ReadMessage() {
  uint64_t number = 0;
  const ssize_t n = read(message_pipe[0], &number, sizeof number);
  if (n != sizeof number) Fail(kRead, "read", n);
  if (number != state->workers[kRead].count) Fail(kRead, "message", static_cast<long>(number));
  Count(kRead);
}

void OnTimer(int, siginfo_t* info, void*) {
  const int error = errno;
  if (info->si_code != SI_TIMER || info->si_value.sival_int != 4711) {
    Fail(kTimer, "signal from elsewhere", info->si_code);
  }
  Count(kTimer);
  errno = error;
}

// Timer signals come to this thread alone, on its alternate stack.
void StartTimer() {
  static char stack[64 << 10];
  const stack_t alternate = {stack, 0, sizeof stack};
  if (sigaltstack(&alternate, nullptr) != 0) Fail(kTimer, "sigaltstack", -1);
  struct sigaction action = {};
  action.sa_sigaction = OnTimer;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigaction(SIGRTMIN, &action, nullptr);
  sigevent event = {};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = SIGRTMIN;
  event.sigev_value.sival_int = 4711;
  event._sigev_un._tid = gettid();
  timer_t timer;
  const itimerspec every = {{0, 5'000'000}, {0, 5'000'000}};
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
      timer_settime(timer, 0, &every, nullptr) != 0) {
    Fail(kTimer, "timer", -1);
  }
}

void PinToFirstCpu() {
  cpu_set_t cpus;
  sched_getaffinity(0, sizeof cpus, &cpus);
  int first = 0;
  while (!CPU_ISSET(first, &cpus)) ++first;
  CPU_ZERO(&cpus);
  CPU_SET(first, &cpus);
  sched_setaffinity(0, sizeof cpus, &cpus);
}

// Does what the watcher asks for.
void Serve() {
  static uint64_t sent = 0;
  while (sent < state->want) {
    if (write(message_pipe[1], &sent, sizeof sent) != sizeof sent) Fail(kMain, "write", -1);
    ++sent;
  }
  if (state->want_wake == 1 && write(poll_pipe[1], "w", 1) == 1) state->want_wake = 2;
  SleepOnce(kMain, 3'000'000);
}

void* Work(void* argument) {
  const auto worker = static_cast<Worker>(reinterpret_cast<intptr_t>(argument));
  // Every thread has a mask of its own.
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGRTMIN + 2 + worker);
  pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
  if (worker == kTimer) StartTimer();
  if (worker == kVector) PinToFirstCpu();
  state->workers[worker].tid = gettid();
  state->ready.fetch_add(1);
  for (;;) {
    switch (worker) {
      case kMain:
        Serve();
        break;
      case kPoll:
        PollForever();
        break;
      case kSleep:
        SleepOnce(kSleep, 4'000'000);
        break;
      case kTimedFutex:
        TimeOut();
        break;
      case kPing:
      case kPong:
        TakeTurns(worker);
        break;
      case kVector:
        Compute();
        break;
      case kRegisters:
        Hold();
        break;
      case kMmap:
        MapAndUnmap();
        break;
      case kRead:
        ReadMessage();
        break;
      default:
        pause();
    }
  }
}

int Run(const char* state_file, size_t mebibytes) {
  const int file = open(state_file, O_RDWR);
  void* const shared =
      mmap(nullptr, sizeof(BusyState), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (file < 0 || shared == MAP_FAILED || pipe(poll_pipe) != 0 || pipe(message_pipe) != 0) return 1;
  state = static_cast<BusyState*>(shared);

  auto* const memory = static_cast<uint64_t*>(malloc(mebibytes << 20));
  for (size_t i = 0; i < (mebibytes << 20) / sizeof *memory; ++i) memory[i] = i * i;

  static char stacks[kWorkers][256 << 10] __attribute__((aligned(4096)));
  for (intptr_t worker = kMain + 1; worker < kWorkers; ++worker) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, stacks[worker], sizeof stacks[worker]);
    pthread_t thread;
    if (pthread_create(&thread, &attributes, Work, reinterpret_cast<void*>(worker)) != 0) return 1;
  }
  Work(reinterpret_cast<void*>(static_cast<intptr_t>(kMain)));
  return 0;
}

}  // namespace
}  // namespace dumpctl

int main(int argc, char** argv) {
  return argc == 3 ? dumpctl::Run(argv[1], strtoul(argv[2], nullptr, 10)) : 2;
}
