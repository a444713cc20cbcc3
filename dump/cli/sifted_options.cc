#include "dump/cli/sifted_options.h"

#include <algorithm>

namespace dumpctl {

OptionNames OptionNames::In(const std::vector<std::string>& words) {
  OptionNames names(false);
  for (const std::string& word : words) {
    if (word.starts_with("--")) {
      names.names_.insert(word.substr(0, word.find('=')));
    } else if (word.starts_with('-')) {
      // "-Rjt1" may be as many options as it has characters.
      for (const char each : word.substr(1)) names.names_.insert({'-', each});
    }
  }
  return names;
}

bool OptionNames::Hold(std::string_view option) const {
  bool held = all_;
  while (!held && !option.empty()) {
    std::string_view name = option.substr(0, option.find(','));
    option.remove_prefix(std::min(option.size(), name.size() + 1));
    if (name.starts_with('!')) name.remove_prefix(1);
    held = names_.contains(name);
  }
  return held;
}

}  // namespace dumpctl
