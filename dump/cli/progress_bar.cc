#include "dump/cli/progress_bar.h"

#include <unistd.h>

#include <cstdio>
#include <string>

#include "absl/strings/str_format.h"

namespace dumpctl {
namespace {

constexpr size_t kWidth = 40;
constexpr uint64_t kMegabyte = 1 << 20;

}  // namespace

ProgressBar::ProgressBar() : terminal_(isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
}

void ProgressBar::Show(uint64_t done, uint64_t total) {
  if (!terminal_ || total == 0) return;
  const auto filled = static_cast<size_t>(done * kWidth / total);
  absl::FPrintF(stderr, "\rmemory [%s%s] %3d%% of %d MiB", std::string(filled, '#'),
                std::string(kWidth - filled, '.'), done * 100 / total, total / kMegabyte);
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace dumpctl
