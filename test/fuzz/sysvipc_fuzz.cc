#include "proc/sysvipc_parser.h"
#include "test/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = dumpctl::TextOf(data, size);
  dumpctl::Parsed(dumpctl::ParseSysvSegments(text));
  dumpctl::Parsed(dumpctl::ParseSysvSemaphores(text));
  dumpctl::Parsed(dumpctl::ParseSysvQueues(text));
  return 0;
}
