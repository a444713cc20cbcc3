#ifndef DUMPCTL_BESIDE_H_
#define DUMPCTL_BESIDE_H_

#include <future>
#include <system_error>
#include <thread>
#include <type_traits>

namespace dumpctl {

// Does some work in a thread of its own. Where there can be none (pids.max of a cgroup that is
// full, RLIMIT_NPROC), whoever asks for the result does the work: the dump of a container that has
// reached its limit shall not fail for that.
template <typename Work>
std::future<std::invoke_result_t<Work>> RunBeside(Work work) {
  try {
    return std::async(std::launch::async, work);
  } catch (const std::system_error&) {
    return std::async(std::launch::deferred, work);
  }
}

// The same of work that leaves its thread another one than it was, and is waited for. False: there
// can be no thread, and nothing was done.
template <typename Work>
[[nodiscard]] bool RunApart(const Work& work) {
  try {
    std::thread(work).join();
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

}  // namespace dumpctl

#endif  // DUMPCTL_BESIDE_H_
