// A C++ program with 50 threads, each with a state of its own: half of them compute without pause,
// half wait on a condition variable; all have thread-local storage, a generator in progress, and
// containers on the heap.
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;

constexpr int kThreads = 50;
constexpr uint64_t kLeastSteps = 200;

[[noreturn]] void End(std::string_view verdict, int status) {
  std::printf("%.*s\n", static_cast<int>(verdict.size()), verdict.data());
  std::fflush(stdout);
  _exit(status);
}

[[noreturn]] void Fail(const std::string& message) { End("FAIL: " + message, 1); }

thread_local int own_number = -1;

class Worker {
 public:
  explicit Worker(int number) : number_(number), random_(static_cast<uint64_t>(number)) {
    thread_ = std::thread([this] { Run(); });
  }

  bool waits() const { return number_ % 2 == 1; }
  uint64_t steps() const { return steps_.load(); }

  void Stop() {
    stop_ = true;
    if (waits()) {
      // Held, so that the change does not fall between its look and its sleep.
      const std::lock_guard<std::mutex> lock(mutex_);
      wake_.notify_all();
    }
    thread_.join();
  }

  // Does all of it again, in this thread.
  void Check() const {
    std::mt19937_64 twin(static_cast<uint64_t>(number_));
    std::map<uint64_t, std::string> counts;
    double sum = 0;
    for (uint64_t step = 0; step < steps(); ++step) Advance(twin, counts, sum);
    const std::string name = "thread " + std::to_string(number_);
    if (local_ != number_) Fail(name + ": another thread-local variable");
    if (counts != counts_) Fail(name + ": another map");
    if (sum != sum_) Fail(name + ": another sum");
    if (!(twin == random_)) Fail(name + ": another generator");
  }

 private:
  static void Advance(std::mt19937_64& random, std::map<uint64_t, std::string>& counts,
                      double& sum) {
    const uint64_t drawn = random();
    std::string& text = counts[drawn % 64];
    text = std::to_string(drawn) + text.substr(0, 40);
    sum = sum / 3 + static_cast<double>(drawn % 1000) / 7;
  }

  void Run() {
    own_number = number_;
    std::unique_lock<std::mutex> lock(mutex_);
    while (!stop_) {
      Advance(random_, counts_, sum_);
      ++steps_;
      if (waits() && steps() >= kLeastSteps) wake_.wait(lock, [this] { return stop_.load(); });
    }
    // Once more, so that whoever waited goes on from where it stood.
    Advance(random_, counts_, sum_);
    ++steps_;
    local_ = own_number;
  }

  int number_;
  std::mt19937_64 random_;
  std::map<uint64_t, std::string> counts_;
  double sum_ = 0;
  int local_ = -1;
  std::atomic<uint64_t> steps_ = 0;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::thread thread_;
};

template <typename Condition>
void WaitUntil(const char* what, Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline)
      Fail(std::string("in vain waited for ") + what);
    std::this_thread::sleep_for(5ms);
  }
}

}  // namespace

int main() {
  std::deque<Worker> workers;
  for (int number = 0; number < kThreads; ++number) workers.emplace_back(number);
  for (const Worker& worker : workers) {
    WaitUntil("all to work", [&] { return worker.steps() >= kLeastSteps; });
  }

  std::puts("ready");
  std::fflush(stdout);
  WaitUntil("go", [] { return access("go", F_OK) == 0; });

  for (const Worker& worker : workers) {
    const uint64_t before = worker.steps();
    if (worker.waits()) {
      if (before != kLeastSteps) Fail("a thread that waits went on by itself");
    } else {
      WaitUntil("a thread to go on", [&] { return worker.steps() > before; });
    }
  }
  for (Worker& worker : workers) worker.Stop();
  for (const Worker& worker : workers) worker.Check();
  End("PASS", 0);
}
