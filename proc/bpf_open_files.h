#ifndef PROC_BPF_OPEN_FILES_H_
#define PROC_BPF_OPEN_FILES_H_

#include <sys/types.h>

#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"
#include "proc/open_file_row.h"

namespace dumpctl {

// Reads all descriptors of a task at once, where procfs takes six system calls for each and kcmp(2)
// some more: by a BPF program that the kernel runs for each (MakeFileProgram).
class BpfOpenFiles {
 public:
  // Errors: those of MakeFileProgram and LoadBpfIterator.
  static absl::StatusOr<BpfOpenFiles> Load();

  // Of the thread `tid`, ascending. Rows that say all have their records.
  absl::StatusOr<std::vector<OpenFileRow>> Read(pid_t tid) const;

  // The same one by one, as `give` gets them. `file` is LastingPart's by then, which `lasting` is
  // of; RowOf makes a row of it.
  using Take = absl::FunctionRef<absl::Status(const KernelFile& file, std::string_view lasting,
                                              absl::Duration tai_offset)>;
  absl::Status Read(pid_t tid, Take give) const;

 private:
  explicit BpfOpenFiles(UniqueFd program) : program_(std::move(program)) {}

  UniqueFd program_;
};

}  // namespace dumpctl

#endif  // PROC_BPF_OPEN_FILES_H_
