#include "proc/multicast_parser.h"

#include <arpa/inet.h>

#include <optional>

#include "proc/text_fields.h"

namespace dumpctl {

absl::StatusOr<std::vector<MulticastGroup>> ParseIgmp(std::string_view text) {
  std::vector<MulticastGroup> groups;
  std::optional<uint32_t> device;
  TakeUntil(text, '\n');  // the names of columns
  while (!text.empty()) {
    const std::string_view line = TakeUntil(text, '\n');
    const std::vector<std::string_view> words = Words(line);
    if (words.empty()) return MalformedText("igmp", "device", line);
    // A device begins its line, and its groups stand below it, further right.
    if (!line.starts_with('\t')) {
      device = NumberOf<uint32_t>(words.front());
      if (!device) return MalformedText("igmp", "device", line);
      continue;
    }
    // The word as it stands in memory.
    const auto address = NumberOf<uint32_t>(words.front(), 16);
    if (!device || !address) return MalformedText("igmp", "group", line);
    groups.push_back({*device, {*address}});
  }
  return groups;
}

absl::StatusOr<std::vector<MulticastGroup>> ParseIgmp6(std::string_view text) {
  std::vector<MulticastGroup> groups;
  while (!text.empty()) {
    const std::string_view line = TakeUntil(text, '\n');
    const std::vector<std::string_view> words = Words(line);
    const auto device = words.empty() ? std::nullopt : NumberOf<uint32_t>(words.front());
    if (!device) return MalformedText("igmp6", "device", line);
    constexpr size_t kDigits = 32;
    if (words.size() < 3 || words[2].size() != kDigits) {
      return MalformedText("igmp6", "group", line);
    }
    MulticastGroup& group = groups.emplace_back();
    group.device = *device;
    for (size_t i = 0; i < kDigits; i += 8) {
      const auto word = NumberOf<uint32_t>(words[2].substr(i, 8), 16);
      if (!word) return MalformedText("igmp6", "group", line);
      group.address.push_back(htonl(*word));
    }
  }
  return groups;
}

}  // namespace dumpctl
