#ifndef DUMPCTL_TRACE_H_
#define DUMPCTL_TRACE_H_

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

namespace dumpctl {

// Where the time of a dump goes: spans, which any room may measure, and a buffer that keeps them
// while somebody wants them (`dumpctl dump --trace`). Nothing is written, allocated or locked while
// a span is measured, so that it can be done in the freeze; without a buffer a span is a load and a
// branch.

enum class TraceKind : uint8_t {
  kFrozen,   // the target's: it stands still
  kStopped,  // the target's: one of its processes stands for a moment, before or after
  kPhase,    // of the dump
  kTask,     // what is done for one task
  kCalls,    // what is run in one
  kPages,    // a buffer full of memory
  kWork,     // anything else that may take its time
  kThread,   // all that a helper does: its track bears this name
};

// A number that belongs to a span ("pid", "bytes"). Names live for ever: literals.
struct TraceArgument {
  constexpr TraceArgument() = default;
  constexpr TraceArgument(const char* its_name, auto its_value)
      : name(its_name), value(static_cast<int64_t>(its_value)) {}

  const char* name = nullptr;
  int64_t value = 0;
};

struct TraceEvent {
  const char* name = nullptr;  // a literal
  TraceKind kind = TraceKind::kWork;
  pid_t tid = 0;         // of the thread that measured
  int64_t begin = 0;     // in ns of CLOCK_MONOTONIC
  int64_t duration = 0;  // in ns
  std::array<TraceArgument, 3> arguments;
};

// Spans that have ended, in that order: some 100 bytes each, all of it taken when it is made. What
// finds no room is counted, and takes none from the phases. Any thread may add; reading is for when
// all have ended.
class TraceBuffer {
 public:
  explicit TraceBuffer(size_t most) : phases_(kMostPhases), others_(most) {}

  void Add(const TraceEvent& event) {
    const bool phase = event.kind == TraceKind::kPhase || event.kind == TraceKind::kFrozen;
    (phase ? phases_ : others_).Add(event);
  }

  // By their beginning, the outer before the inner.
  std::vector<TraceEvent> Events() const {
    std::vector<TraceEvent> events = phases_.Kept();
    const std::vector<TraceEvent> others = others_.Kept();
    events.insert(events.end(), others.begin(), others.end());
    std::stable_sort(events.begin(), events.end(), [](const TraceEvent& a, const TraceEvent& b) {
      return a.begin != b.begin ? a.begin < b.begin : a.duration > b.duration;
    });
    return events;
  }

  size_t dropped() const { return phases_.dropped() + others_.dropped(); }
  // How many find room, besides those of the phases.
  size_t most() const { return others_.most(); }

 private:
  static constexpr size_t kMostPhases = 128;

  class Slots {
   public:
    explicit Slots(size_t most) : slots_(most) {}

    void Add(const TraceEvent& event) {
      const size_t slot = added_.fetch_add(1, std::memory_order_relaxed);
      if (slot < slots_.size()) slots_[slot] = event;
    }
    std::vector<TraceEvent> Kept() const {
      const auto kept = static_cast<ptrdiff_t>(std::min(added_.load(), slots_.size()));
      return {slots_.begin(), slots_.begin() + kept};
    }
    size_t dropped() const { return added_ - std::min(added_.load(), slots_.size()); }
    size_t most() const { return slots_.size(); }

   private:
    std::vector<TraceEvent> slots_;
    std::atomic<size_t> added_ = 0;
  };

  Slots phases_;
  Slots others_;
};

// The buffer of this process, null while nobody wants spans.
inline std::atomic<TraceBuffer*> current_trace = nullptr;

// Has spans kept in `buffer` as long as this scope lives; one at a time.
class TraceScope {
 public:
  explicit TraceScope(TraceBuffer& buffer) { current_trace = &buffer; }
  TraceScope(const TraceScope&) = delete;
  TraceScope& operator=(const TraceScope&) = delete;
  ~TraceScope() { current_trace = nullptr; }
};

// The time from its construction until End, or its own. `name` lives for ever: a literal.
class TraceSpan {
 public:
  TraceSpan(TraceKind kind, const char* name, std::initializer_list<TraceArgument> arguments = {})
      : buffer_(current_trace.load(std::memory_order_acquire)) {
    if (buffer_ == nullptr) return;
    event_.name = name;
    event_.kind = kind;
    for (const TraceArgument& argument : arguments) Tell(argument);
    event_.begin = Now();
  }
  TraceSpan(const TraceSpan&) = delete;
  TraceSpan& operator=(const TraceSpan&) = delete;
  ~TraceSpan() { End(); }

  // What is known only later; three at most with the others.
  void Tell(const TraceArgument& argument) {
    if (buffer_ != nullptr && used_ < event_.arguments.size()) {
      event_.arguments[used_++] = argument;
    }
  }

  void End() {
    if (buffer_ == nullptr) return;
    event_.duration = Now() - event_.begin;
    event_.tid = Tid();
    buffer_->Add(event_);
    buffer_ = nullptr;
  }

 private:
  static int64_t Now() {
    timespec now = {};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  }

  static pid_t Tid() {
    static thread_local const pid_t tid = gettid();
    return tid;
  }

  TraceBuffer* buffer_;
  TraceEvent event_;
  size_t used_ = 0;
};

}  // namespace dumpctl

#endif  // DUMPCTL_TRACE_H_
