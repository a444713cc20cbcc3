#ifndef PROC_SMAPS_PARSER_H_
#define PROC_SMAPS_PARSER_H_

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "dumpctl/vma.h"

namespace dumpctl {

// How many mappings a text of maps tells of.
size_t CountMappings(std::string_view maps);

// The mappings of one task from the text of /proc/PID/maps (proc_pid_maps(5)), ascending by
// address. Mapping::flags is unset: maps does not tell VmFlags.
//
// Errors (of all three): DataLoss, quoting the line and naming the field that could not be read.
absl::StatusOr<std::vector<Mapping>> ParseMaps(std::string_view text);

// The same from the text of /proc/PID/smaps (proc_pid_smaps(5)), with VmFlags. Lines this version
// does not know are skipped when they have the form of a field, because every few releases add one;
// VmFlags codes it does not know become VmFlag::kOther. An entry without VmFlags is an error: every
// kernel since 3.8 writes them last, so the text was cut short.
absl::StatusOr<std::vector<Mapping>> ParseSmaps(std::string_view text);

// One line of maps, or the head of one smaps entry, without its newline.
absl::StatusOr<Mapping> ParseMapsLine(std::string_view line);

}  // namespace dumpctl

#endif  // PROC_SMAPS_PARSER_H_
