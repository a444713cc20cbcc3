#ifndef DUMP_TRACEE_THREAD_ANSWERS_H_
#define DUMP_TRACEE_THREAD_ANSWERS_H_

#include <cstdint>

namespace dumpctl {

// What only a thread itself can tell: answers of system calls run in it.
struct ThreadAnswers {
  // sigaltstack(2)
  uint64_t altstack_base = 0;
  uint64_t altstack_size = 0;
  uint32_t altstack_flags = 0;
  // prctl(2): PR_GET_TID_ADDRESS, PR_GET_PDEATHSIG, PR_GET_SECUREBITS
  uint64_t clear_child_tid = 0;
  uint32_t pdeath_signal = 0;
  uint32_t securebits = 0;
  friend bool operator==(const ThreadAnswers&, const ThreadAnswers&) = default;
};

}  // namespace dumpctl

#endif  // DUMP_TRACEE_THREAD_ANSWERS_H_
