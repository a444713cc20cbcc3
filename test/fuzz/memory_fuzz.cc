#include "proc/memory_parsers.h"
#include "test/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = dumpctl::TextOf(data, size);
  dumpctl::Parsed(dumpctl::ParseMemAvailable(text));
  dumpctl::Parsed(dumpctl::ParseMemoryAmount(text));
  dumpctl::Parsed(dumpctl::ParseReclaimable(text));
  return 0;
}
