#include "proc/value_parsers.h"
#include "test/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = dumpctl::TextOf(data, size);
  dumpctl::Parsed(dumpctl::ParseLoginuid(text));
  dumpctl::Parsed(dumpctl::ParseOomScoreAdj(text));
  return 0;
}
