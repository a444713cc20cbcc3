#include "absl/strings/str_cat.h"
#include "proc/children_parser.h"
#include "test/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto children = dumpctl::ParseChildren(dumpctl::TextOf(data, size));
  if (dumpctl::Parsed(children)) {
    // Printed again, it reads the same.
    std::string again;
    for (const pid_t pid : *children) absl::StrAppend(&again, pid, " ");
    const auto read_again = dumpctl::ParseChildren(again);
    dumpctl::Require(read_again.ok() && *read_again == *children);
  }
  return 0;
}
