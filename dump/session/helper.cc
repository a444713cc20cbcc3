#include "dump/session/helper.h"

#include <signal.h>

#include "dumpctl/moved_apart.h"
#include "dumpctl/trace.h"

namespace dumpctl {

Helper::Helper(bool worth) {
  if (!worth) return;
  // The tracer waits for SIGCHLD, which the kernel would give to any thread that does not block it,
  // and this one would drop it.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  running_ = pthread_create(&thread_, nullptr, Run, this) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void* Helper::Run(void* helper) {
  const TraceSpan span(TraceKind::kThread, "helper");
  static_cast<Helper*>(helper)->WorkOn();
  return nullptr;
}

void Helper::WorkOn() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return finish_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    std::packaged_task<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    lock.lock();
  }
}

void Helper::Take(std::packaged_task<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  const MovedApart apart(thread_);
  changed_.notify_one();
}

void Helper::Finish() {
  if (!std::exchange(running_, false)) return;
  {
    const std::lock_guard lock(mutex_);
    finish_ = true;
  }
  changed_.notify_one();
  pthread_join(thread_, nullptr);
}

}  // namespace dumpctl
