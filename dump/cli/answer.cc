#include "dump/cli/answer.h"

#include <signal.h>

#include <cerrno>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "dump/cli/interruption.h"

namespace dumpctl {

absl::Status WriteAnswer(const std::string& text) { return WriteAnswer(text, stdout); }

absl::Status WriteAnswer(const std::string& text, std::FILE* to) {
  if (std::fwrite(text.data(), 1, text.size(), to) == text.size() && std::fflush(to) == 0) {
    return absl::OkStatus();
  }
  const int error = errno;
  absl::Status status = absl::ErrnoToStatus(
      error, absl::StrCat("cannot write to ", to == stderr ? "stderr" : "stdout"));
  return error == EPIPE ? WithSignal(status, SIGPIPE) : status;
}

}  // namespace dumpctl
