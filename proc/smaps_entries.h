#ifndef PROC_SMAPS_ENTRIES_H_
#define PROC_SMAPS_ENTRIES_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dumpctl/remote_address.h"
#include "dumpctl/vma.h"

namespace dumpctl {

// Takes the text of /proc/PID/smaps piece by piece, as it is read, and keeps but one entry of it:
// 700 bytes a mapping are dear to keep when two lines of them are wanted. ParseSmaps understands
// all of it.
//
// Errors: DataLoss for an entry without VmFlags, and for what has not the form of smaps; the
// callback's.
class SmapsEntries {
 public:
  // The first line of an entry, as of maps, and what follows "VmFlags:".
  using Found = absl::FunctionRef<absl::Status(std::string_view head, std::string_view codes)>;

  absl::Status Take(std::string_view piece, Found found);
  // To be called behind the last piece.
  absl::Status Finish() const;

 private:
  absl::Status TakeLine(std::string_view line, Found found);

  std::string head_;  // of the entry whose VmFlags are still to come
  std::string line_;  // what there is of the last one
};

// VmFlags of the addresses [start, end).
absl::StatusOr<MappingFlags> ParseMappingFlags(std::string_view head, std::string_view codes);

}  // namespace dumpctl

#endif  // PROC_SMAPS_ENTRIES_H_
