#ifndef DUMPCTL_RESOURCE_REFUSAL_H_
#define DUMPCTL_RESOURCE_REFUSAL_H_

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace dumpctl {

// Why a kind of thing cannot be dumped, and what helps: texts of the program, never of a target.
struct WhyNot {
  std::string_view why;
  std::string_view remedy;
};

// The same, of a text that tells of the very thing.
struct WhyNotText {
  std::string why;
  std::string remedy;
};

// Something a task holds that cannot be dumped. Preflight and the collectors report the same ones;
// a dump collects all of them before it gives up, so that the user sees every one at once.
struct ResourceRefusal {
  pid_t pid = 0;
  // What it is, as the user would look for it: "fd 7 (socket:[1234], UNIX stream)".
  std::string resource;
  // Why it cannot be dumped.
  std::string why;
  // What the user can do about it.
  std::string remedy;
};

using ResourceRefusals = std::vector<ResourceRefusal>;

}  // namespace dumpctl

#endif  // DUMPCTL_RESOURCE_REFUSAL_H_
