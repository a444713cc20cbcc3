#ifndef DUMP_CLI_VERBOSITY_H_
#define DUMP_CLI_VERBOSITY_H_

#include <string>
#include <vector>

namespace dumpctl {

// criu(8) spells its log level "-v4", "-vvvv", "--verbosity" or "--verbosity=4", never as a word of
// its own: "-v dump.log" is no level. Rewrites all of these to "--verbosity=N", which a command
// line parser can understand. Arguments behind "--" stay as they are.
std::vector<std::string> SpellOutVerbosity(const std::vector<std::string>& arguments);

// 0 silent, 1 errors, 2 warnings, 3 information, 4 and more debugging.
inline constexpr int kDefaultVerbosity = 2;

}  // namespace dumpctl

#endif  // DUMP_CLI_VERBOSITY_H_
