#ifndef PROC_THREAD_ROW_H_
#define PROC_THREAD_ROW_H_

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace dumpctl {

// What the kernel keeps of one thread, as BpfThreads reads it.
struct ThreadRow {
  pid_t tid = 0;     // as this process's pid namespace counts
  std::string comm;  // as prctl(PR_GET_NAME) tells it
  bool has_children = false;
  bool no_new_privs = false;
  bool has_tls = false;  // descriptors of its own in the GDT (set_thread_area(2))
  uint32_t seccomp_mode = 0;
  uint64_t pending = 0;  // signals directed at it, bit 0 = signal 1
  uint64_t robust_list = 0;
  // sched_getattr(2)
  uint32_t policy = 0;
  int32_t nice = 0;
  uint32_t priority = 0;
  // sigaltstack(2), but for SS_ONSTACK
  uint64_t altstack_base = 0;
  uint64_t altstack_size = 0;
  uint32_t altstack_flags = 0;
  // prctl(2): PR_GET_TID_ADDRESS, PR_GET_PDEATHSIG, PR_GET_SECUREBITS
  uint64_t clear_child_tid = 0;
  uint32_t pdeath_signal = 0;
  uint32_t securebits = 0;
  // Where the kernel has its credentials and its set of cgroups: what is at the same place is the
  // same, what is at another may be. For comparison alone.
  uint64_t credentials = 0;
  uint64_t cgroups = 0;
};

}  // namespace dumpctl

#endif  // PROC_THREAD_ROW_H_
