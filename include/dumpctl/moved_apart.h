#ifndef DUMPCTL_MOVED_APART_H_
#define DUMPCTL_MOVED_APART_H_

#include <pthread.h>
#include <sched.h>

#include <cstddef>

namespace dumpctl {

// While one stands, a thread of ours that runs, or is woken, does so on another processor than the
// one that we run on, where there is another that it may run on. From then on it is the kernel's to
// move it.
//
// Kernel trap: a virtual processor that is idle may be taken for one that its host has taken away
// (vcpu_is_preempted, Linux 4.20), and nobody is woken there. While all that could run stands
// still, two threads then take turns on one processor beside an idle one, for some ms.
class MovedApart {
 public:
  explicit MovedApart(pthread_t thread) : thread_(thread) {
    const int ours = sched_getcpu();
    if (ours < 0 || pthread_getaffinity_np(thread, sizeof all_, &all_) != 0) return;
    cpu_set_t others = all_;
    CPU_CLR(static_cast<size_t>(ours), &others);
    // No set may be empty: where there is no other it fails.
    moved_ = pthread_setaffinity_np(thread, sizeof others, &others) == 0;
  }
  ~MovedApart() {
    if (moved_) pthread_setaffinity_np(thread_, sizeof all_, &all_);
  }
  MovedApart(const MovedApart&) = delete;
  MovedApart& operator=(const MovedApart&) = delete;

 private:
  pthread_t thread_;
  cpu_set_t all_;
  bool moved_ = false;
};

}  // namespace dumpctl

#endif  // DUMPCTL_MOVED_APART_H_
