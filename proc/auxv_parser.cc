#include "proc/auxv_parser.h"

#include <elf.h>

#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace dumpctl {

absl::StatusOr<std::vector<uint64_t>> ParseAuxv(std::string_view bytes) {
  std::vector<uint64_t> values;
  while (bytes.size() >= 2 * sizeof(uint64_t)) {
    uint64_t pair[2];
    memcpy(pair, bytes.data(), sizeof pair);
    // The kernel's array has spare room behind the end, which is no part of the vector.
    if (pair[0] == AT_NULL) return values;
    values.insert(values.end(), {pair[0], pair[1]});
    bytes.remove_prefix(sizeof pair);
  }
  return absl::DataLossError(absl::StrCat("the auxiliary vector of ", values.size() / 2,
                                          " pairs ends without AT_NULL, with ", bytes.size(),
                                          " bytes left over"));
}

}  // namespace dumpctl
