#include "proc/limits_parser.h"
#include "test/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = dumpctl::TextOf(data, size);
  const auto limits = dumpctl::ParseLimits(text);
  if (dumpctl::Parsed(limits)) {
    for (const dumpctl::Rlimit& limit : *limits) {
      // Each number stands in the text, if only behind zeros.
      for (const uint64_t value : {limit.soft, limit.hard}) {
        dumpctl::Require(value == RLIM_INFINITY ||
                         text.find(std::to_string(value)) != std::string_view::npos);
      }
    }
  }
  return 0;
}
