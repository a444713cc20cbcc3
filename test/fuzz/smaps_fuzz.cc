#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "proc/smaps_parser.h"

namespace {

void Check(const absl::StatusOr<std::vector<dumpctl::Mapping>>& mappings) {
  if (!mappings.ok()) {
    if (mappings.status().code() != absl::StatusCode::kDataLoss) abort();
    return;
  }
  // What comes out ascends and does not overlap, whatever went in.
  dumpctl::RemoteAddress end;
  for (const dumpctl::Mapping& mapping : *mappings) {
    if (mapping.start < end || mapping.end <= mapping.start) abort();
    end = mapping.end;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Check(dumpctl::ParseMaps(text));
  Check(dumpctl::ParseSmaps(text));
  return 0;
}
