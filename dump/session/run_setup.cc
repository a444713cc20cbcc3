#include "dump/session/run_setup.h"

#include <sys/random.h>
#include <sys/resource.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "absl/strings/str_cat.h"

namespace dumpctl {

void RaiseOpenFileLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// A random UUID (RFC 9562, version 4).
absl::StatusOr<std::string> NewRunId() {
  std::array<uint8_t, 16> bytes;
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return absl::ErrnoToStatus(errno, "getrandom");
  }
  bytes[6] = static_cast<uint8_t>(0x40 | (bytes[6] & 0x0f));
  bytes[8] = static_cast<uint8_t>(0x80 | (bytes[8] & 0x3f));
  std::string text;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i >= 4 && i <= 10 && i % 2 == 0) text.push_back('-');
    absl::StrAppend(&text, absl::Hex(bytes[i], absl::kZeroPad2));
  }
  return text;
}

}  // namespace dumpctl
