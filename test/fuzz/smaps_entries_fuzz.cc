#include "proc/smaps_entries.h"
#include "test/fuzz/check.h"

namespace dumpctl {
namespace {

// The entries of a text that comes in pieces.
absl::StatusOr<std::vector<MappingFlags>> Entries(std::string_view text, size_t piece) {
  std::vector<MappingFlags> found;
  SmapsEntries entries;
  const auto keep = [&found](std::string_view head, std::string_view codes) -> absl::Status {
    const auto mapping = ParseMappingFlags(head, codes);
    if (mapping.ok()) found.push_back(*mapping);
    return mapping.status();
  };
  while (!text.empty()) {
    const absl::Status status = entries.Take(text.substr(0, piece), keep);
    if (!status.ok()) return status;
    text.remove_prefix(std::min(piece, text.size()));
  }
  const absl::Status status = entries.Finish();
  if (!status.ok()) return status;
  return found;
}

}  // namespace
}  // namespace dumpctl

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = dumpctl::TextOf(data, size);
  const auto whole = dumpctl::Entries(text, text.size());
  const auto cut = dumpctl::Entries(text, 3);
  dumpctl::Require(dumpctl::Parsed(whole) == dumpctl::Parsed(cut));
  if (whole.ok()) dumpctl::Require(*whole == *cut);
  return 0;
}
