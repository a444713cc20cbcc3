#include "absl/strings/str_cat.h"
#include "proc/cgroup_parser.h"
#include "test/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto memberships = dumpctl::ParseCgroup(dumpctl::TextOf(data, size));
  if (dumpctl::Parsed(memberships)) {
    // Printed again, it reads the same.
    std::string again;
    for (const dumpctl::CgroupMembership& membership : *memberships) {
      absl::StrAppend(&again, membership.hierarchy, ":", membership.controllers, ":",
                      membership.path, membership.deleted ? " (deleted)\n" : "\n");
    }
    const auto read_again = dumpctl::ParseCgroup(again);
    dumpctl::Require(read_again.ok() && *read_again == *memberships);
  }
  return 0;
}
