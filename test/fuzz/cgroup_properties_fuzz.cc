#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "dump/cg/cgroup_properties.h"
#include "test/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto properties = dumpctl::AddCgroupProperties({}, dumpctl::TextOf(data, size));
  if (dumpctl::Parsed(properties)) {
    // Printed again, it reads the same.
    std::string again;
    for (const auto& [controller, names] : properties->version_1) {
      absl::StrAppend(&again, "\"", controller, "\":\n - \"strategy\": \"merge\"\n",
                      " - \"properties\": [");
      const auto quote = [](std::string* out, const std::string& name) {
        absl::StrAppend(out, "\"", name, "\"");
      };
      absl::StrAppend(&again, absl::StrJoin(names, ", ", quote), "]\n");
    }
    const auto read_again = dumpctl::AddCgroupProperties({}, again);
    dumpctl::Require(read_again.ok() && read_again->version_1 == properties->version_1);
  }
  return 0;
}
