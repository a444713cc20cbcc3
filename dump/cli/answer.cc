#include "dump/cli/answer.h"

#include <cerrno>
#include <cstdio>

namespace dumpctl {

absl::Status WriteAnswer(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) {
    return absl::OkStatus();
  }
  return absl::ErrnoToStatus(errno, "cannot write to stdout");
}

}  // namespace dumpctl
