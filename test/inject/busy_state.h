#ifndef TEST_INJECT_BUSY_STATE_H_
#define TEST_INJECT_BUSY_STATE_H_

#include <atomic>
#include <cstdint>

namespace dumpctl {

// The threads of busy_target.
enum Worker : int {
  kMain,        // sleeps, and does what it is asked to
  kPoll,        // blocked in a poll without end
  kSleep,       // nanosleep, nothing but
  kTimedFutex,  // futex waits that time out
  kPing,        // two that wake each other by futexes
  kPong,
  kVector,     // computes in vector registers; pinned to one CPU
  kRegisters,  // holds patterns in all general registers and the red zone
  kMmap,       // maps and unmaps
  kRead,       // reads numbered messages from a pipe
  kTimer,      // takes a timer's signals on an alternate stack
  kWorkers
};

inline constexpr const char* kWorkerNames[kWorkers] = {"main", "poll", "sleep",  "timed futex",
                                                       "ping", "pong", "vector", "registers",
                                                       "mmap", "read", "timer"};

// What busy_target and its watcher share: a mapped file.
struct BusyState {
  struct Counter {
    std::atomic<int32_t> tid;
    std::atomic<uint64_t> count;
  };
  Counter workers[kWorkers];

  std::atomic<uint32_t> ready;        // workers that are at work
  std::atomic<uint32_t> failed;       // something happened to the program that must not; see error
  char error[256];                    // the first such thing
  std::atomic<uint64_t> want;         // messages to be sent to kRead, in all
  std::atomic<uint32_t> want_steady;  // kMmap is to leave the address space alone
  std::atomic<uint32_t> steady;       // it does
  std::atomic<uint32_t> want_wake;    // kPoll's pipe is to be written to
  std::atomic<uint32_t> woken;        // it has returned, as it should
};

}  // namespace dumpctl

#endif  // TEST_INJECT_BUSY_STATE_H_
