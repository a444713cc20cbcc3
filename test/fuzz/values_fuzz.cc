#include "proc/value_parsers.h"
#include "test/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = dumpctl::TextOf(data, size);
  const bool decimal = dumpctl::Parsed(dumpctl::ParseTimerslack(text));
  // A smaller number is a larger one, too.
  dumpctl::Require(!dumpctl::Parsed(dumpctl::ParseLoginuid(text)) || decimal);
  dumpctl::Parsed(dumpctl::ParseOomScoreAdj(text));
  dumpctl::Parsed(dumpctl::ParsePersonality(text));
  return 0;
}
