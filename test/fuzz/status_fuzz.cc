#include "proc/status_parser.h"
#include "test/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = dumpctl::TextOf(data, size);
  const auto status = dumpctl::ParseStatus(text);
  if (dumpctl::Parsed(status)) {
    dumpctl::Require(text.find(status->name) != std::string_view::npos);
    // A group takes two bytes at least.
    dumpctl::Require(status->groups.size() + status->ns_pids.size() < size);
  }
  return 0;
}
