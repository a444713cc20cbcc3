#ifndef DUMP_CLI_PROGRESS_BAR_H_
#define DUMP_CLI_PROGRESS_BAR_H_

#include <cstdint>

namespace dumpctl {

// A bar on the terminal behind standard error, drawn over itself; nothing where that is no
// terminal. Destroying it clears the line.
class ProgressBar {
 public:
  ProgressBar();
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // In bytes.
  void Show(uint64_t done, uint64_t total);

 private:
  bool terminal_;
  bool drawn_ = false;
};

}  // namespace dumpctl

#endif  // DUMP_CLI_PROGRESS_BAR_H_
