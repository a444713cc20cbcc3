#include "proc/bpf_open_files.h"

#include <sys/timex.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "dumpctl/status_macros.h"
#include "proc/bpf_assembler.h"
#include "proc/bpf_file_program.h"
#include "proc/bpf_program.h"
#include "proc/kernel_file.h"

namespace dumpctl {
namespace {

// How far CLOCK_TAI is ahead of CLOCK_REALTIME (adjtimex(2)).
absl::StatusOr<absl::Duration> TaiOffset() {
  timex clock = {};
  if (adjtimex(&clock) < 0) return absl::ErrnoToStatus(errno, "adjtimex");
  return absl::Seconds(clock.tai);
}

}  // namespace

absl::StatusOr<BpfOpenFiles> BpfOpenFiles::Load() {
  ASSIGN_OR_RETURN(const KernelBtf btf, KernelBtf::Open());
  ASSIGN_OR_RETURN(const BpfFileProgram program, MakeFileProgram(btf.bytes()));
  ASSIGN_OR_RETURN(UniqueFd loaded, LoadBpfIterator(program.function, program.instructions));
  return BpfOpenFiles(std::move(loaded));
}

absl::StatusOr<std::vector<OpenFileRow>> BpfOpenFiles::Read(pid_t tid) const {
  ASSIGN_OR_RETURN(const UniqueFd attached, AttachBpfIterator(program_, tid));
  ASSIGN_OR_RETURN(const absl::Duration tai_offset, TaiOffset());
  std::vector<OpenFileRow> rows;
  const auto take = [&](std::string_view bytes) -> absl::StatusOr<bool> {
    KernelFile file;
    std::memcpy(&file, bytes.data(), sizeof file);
    if (file.complete == 0) {
      return absl::DataLossError(absl::StrCat("a BPF program could not read all of descriptor ",
                                              file.number, " of ", tid));
    }
    OpenFileRow row = RowOf(file, tai_offset);
    // The kernel may start over behind the last one: see BpfVmaIterator.
    if (!rows.empty() && row.number <= rows.back().number) return false;
    rows.push_back(std::move(row));
    return true;
  };
  RETURN_IF_ERROR(ReadBpfRecords(attached, sizeof(KernelFile), take));
  return rows;
}

}  // namespace dumpctl
