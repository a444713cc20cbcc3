// Counts ten times a second in one thread while another sums up what was counted, and prints both:
// what scripts/quickstart dumps and restores. A count that went on from another number, or a sum
// that does not fit, would show.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <thread>

namespace {

constexpr auto kTick = std::chrono::milliseconds(100);

std::atomic<uint64_t> count = 0;

void SumUp() {
  uint64_t sum = 0;
  for (uint64_t seen = 0;;) {
    count.wait(seen);
    const uint64_t now = count;
    while (seen < now) sum += ++seen;
    std::printf("%ju counted, %ju in sum%s\n", uintmax_t{seen}, uintmax_t{sum},
                sum == seen * (seen + 1) / 2 ? "" : ": WRONG");
    std::fflush(stdout);
  }
}

}  // namespace

int main() {
  std::thread(SumUp).detach();
  for (;;) {
    std::this_thread::sleep_for(kTick);
    ++count;
    count.notify_one();
  }
}
