#ifndef DUMP_SESSION_HELPER_H_
#define DUMP_SESSION_HELPER_H_

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <type_traits>
#include <utility>

#include "dumpctl/trace.h"

namespace dumpctl {

// Another thread, which does what it is given, one thing after the other. Made before the freeze:
// to start one takes as long as some of what it is to do in it.
class Helper {
 public:
  // Where it is not worth another thread, or there can be none, what is to be done is done at once
  // by who asks for it.
  explicit Helper(bool worth = true);
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;
  ~Helper() { Finish(); }

  template <typename Work>
  std::future<std::invoke_result_t<Work>> Do(Work work) {
    std::packaged_task<std::invoke_result_t<Work>()> task(std::move(work));
    auto found = task.get_future();
    if (running_) {
      Take(std::packaged_task<void()>([task = std::move(task)]() mutable { task(); }));
    } else {
      task();
    }
    return found;
  }

  // Returns when all has been done. To be called before anything goes that it works on.
  void Finish();

 private:
  static void* Run(void* helper);
  void WorkOn();
  void Take(std::packaged_task<void()> task);

  pthread_t thread_ = {};
  bool running_ = false;  // known to who asks alone
  std::mutex mutex_;      // holds the rest
  std::condition_variable changed_;
  std::deque<std::packaged_task<void()>> tasks_;
  bool finish_ = false;
};

// What another thread has found.
template <typename T>
T Await(std::future<T>& found) {
  const TraceSpan span(TraceKind::kPhase, "wait");
  return found.get();
}

}  // namespace dumpctl

#endif  // DUMP_SESSION_HELPER_H_
