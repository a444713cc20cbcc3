#include "dump/cli/interruption.h"

#include <time.h>

#include <string>
#include <string_view>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "dumpctl/failure.h"

namespace dumpctl {
namespace {

constexpr absl::string_view kSignalPayload = "dumpctl/signal";

struct SignalRow {
  int signal;
  std::string_view name;
};
constexpr SignalRow kSignals[] = {{SIGHUP, "SIGHUP"}, {SIGINT, "SIGINT"}, {SIGTERM, "SIGTERM"}};

bool IsIgnored(int signal) {
  struct sigaction action = {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

Interruption::Interruption(std::string_view outcome) : outcome_(outcome) {
  pthread_sigmask(SIG_SETMASK, nullptr, &before_);
  sigemptyset(&held_);
  for (const SignalRow& row : kSignals) {
    // The kernel queues a signal that is blocked even where it is ignored.
    if (!IsIgnored(row.signal) && sigismember(&before_, row.signal) == 0) {
      sigaddset(&held_, row.signal);
    }
  }
  pthread_sigmask(SIG_BLOCK, &held_, nullptr);
}

Interruption::~Interruption() {
  const timespec at_once = {};
  while (sigtimedwait(&held_, nullptr, &at_once) > 0) {
  }
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

absl::Status Interruption::Check() const {
  sigset_t pending;
  sigpending(&pending);
  for (const auto& [signal, name] : kSignals) {
    if (sigismember(&held_, signal) == 0 || sigismember(&pending, signal) == 0) continue;
    return WithSignal(MakeFailure(Failure::kInterrupted, absl::StatusCode::kCancelled,
                                  absl::StrCat("interrupted by ", std::string(name), ": ",
                                               std::string(outcome_))),
                      signal);
  }
  return absl::OkStatus();
}

void HearOfFailedWrites() {
  sigset_t written;
  sigemptyset(&written);
  sigaddset(&written, SIGPIPE);
  sigaddset(&written, SIGXFSZ);
  pthread_sigmask(SIG_BLOCK, &written, nullptr);
}

absl::Status WithSignal(absl::Status status, int signal) {
  status.SetPayload(kSignalPayload, absl::Cord(absl::StrCat(signal)));
  return status;
}

int SignalOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kSignalPayload);
  int signal = 0;
  return payload && absl::SimpleAtoi(std::string(*payload), &signal) ? signal : 0;
}

void EndBySignal(const absl::Status& status) {
  const int signal = SignalOf(status);
  if (signal == 0) return;
  sigset_t let_through;
  sigemptyset(&let_through);
  sigaddset(&let_through, signal);
  pthread_sigmask(SIG_UNBLOCK, &let_through, nullptr);
  raise(signal);
}

}  // namespace dumpctl
