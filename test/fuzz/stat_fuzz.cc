#include "proc/stat_parser.h"
#include "test/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = dumpctl::TextOf(data, size);
  const auto stat = dumpctl::ParseStat(text);
  if (dumpctl::Parsed(stat)) {
    // The name is a part of the text, and so are its parentheses.
    dumpctl::Require(text.find(" (" + stat->comm + ") ") != std::string_view::npos);
    dumpctl::Require(stat->state != 0 || text.find('\0') != std::string_view::npos);
  }
  return 0;
}
