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

constexpr int kErrorsInstead[] = {SIGPIPE, SIGXFSZ};

bool IsIgnored(int signal) {
  struct sigaction action = {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

Interruption::Interruption() {
  pthread_sigmask(SIG_SETMASK, nullptr, &before_);
  sigemptyset(&held_);
  for (const SignalRow& row : kSignals) {
    // The kernel queues a signal that is blocked even where it is ignored.
    if (!IsIgnored(row.signal) && sigismember(&before_, row.signal) == 0) {
      sigaddset(&held_, row.signal);
    }
  }
  for (const int signal : kErrorsInstead) {
    if (sigismember(&before_, signal) == 0) sigaddset(&held_, signal);
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
    absl::Status status =
        MakeFailure(Failure::kInterrupted, absl::StatusCode::kCancelled,
                    absl::StrCat("interrupted by ", std::string(name),
                                 ": the process was let go on, and no images were left"));
    status.SetPayload(kSignalPayload, absl::Cord(absl::StrCat(signal)));
    return status;
  }
  return absl::OkStatus();
}

void EndBySignal(const absl::Status& status) {
  const auto payload = status.GetPayload(kSignalPayload);
  int signal = 0;
  if (payload && absl::SimpleAtoi(std::string(*payload), &signal)) raise(signal);
}

}  // namespace dumpctl
