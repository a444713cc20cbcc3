#include "dump/cli/verbosity.h"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace dumpctl {
namespace {

bool AllOf(std::string_view text, char c) {
  return !text.empty() && text.find_first_not_of(c) == std::string_view::npos;
}

bool AllDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isdigit(static_cast<unsigned char>(c)) != 0;
  });
}

}  // namespace

std::vector<std::string> SpellOutVerbosity(const std::vector<std::string>& arguments) {
  std::vector<std::string> spelled;
  size_t count = 0;
  const auto end = std::find(arguments.begin(), arguments.end(), "--");
  for (auto it = arguments.begin(); it != end; ++it) {
    const std::string_view argument = *it;
    const std::string_view letters =
        argument.starts_with('-') && !argument.starts_with("--") ? argument.substr(1) : "";
    if (letters.starts_with('v') && AllDigits(letters.substr(1))) {
      spelled.push_back("--verbosity=" + std::string(letters.substr(1)));
    } else if (AllOf(letters, 'v') || argument == "--verbosity") {
      count += std::max<size_t>(letters.size(), 1);
    } else {
      spelled.push_back(*it);
    }
  }
  if (count > 0) spelled.push_back("--verbosity=" + std::to_string(count));
  spelled.insert(spelled.end(), end, arguments.end());
  return spelled;
}

}  // namespace dumpctl
