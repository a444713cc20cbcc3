#include <algorithm>

#include "proc/timers_parser.h"
#include "test/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = dumpctl::TextOf(data, size);
  const auto timers = dumpctl::ParseTimers(text);
  if (dumpctl::Parsed(timers)) {
    // Four lines each, the last of which may lack its newline.
    const auto newlines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
    const size_t lines = newlines + (text.empty() || text.ends_with('\n') ? 0 : 1);
    dumpctl::Require(4 * timers->size() == lines);
  }
  return 0;
}
