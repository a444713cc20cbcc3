#include "proc/smaps_parser.h"
#include "test/fuzz/check.h"

namespace dumpctl {
namespace {

void Check(const absl::StatusOr<std::vector<Mapping>>& mappings) {
  if (!Parsed(mappings)) return;
  // What comes out ascends and does not overlap, whatever went in.
  RemoteAddress end;
  for (const Mapping& mapping : *mappings) {
    Require(mapping.start >= end && mapping.end > mapping.start);
    end = mapping.end;
  }
}

}  // namespace
}  // namespace dumpctl

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dumpctl::Check(dumpctl::ParseMaps(dumpctl::TextOf(data, size)));
  dumpctl::Check(dumpctl::ParseSmaps(dumpctl::TextOf(data, size)));
  return 0;
}
