#include "proc/bpf_open_files.h"

#include <sys/timex.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
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
  ASSIGN_OR_RETURN(const BpfFileProgram program, MakeFileProgram());
  ASSIGN_OR_RETURN(UniqueFd loaded, LoadBpfIterator(program.function, program.instructions));
  return BpfOpenFiles(std::move(loaded));
}

absl::StatusOr<std::vector<OpenFileRow>> BpfOpenFiles::Read(pid_t tid) const {
  std::vector<OpenFileRow> rows;
  RETURN_IF_ERROR(Read(
      tid, [&rows](const KernelFile& file, std::string_view lasting, absl::Duration tai_offset) {
        OpenFileRow& row = rows.emplace_back(RowOf(file, tai_offset));
        if (row.says_all) row.record = std::string(lasting);
        return absl::OkStatus();
      }));
  return rows;
}

absl::Status BpfOpenFiles::Read(pid_t tid, Take give) const {
  ASSIGN_OR_RETURN(const UniqueFd attached, AttachBpfIterator(program_, tid));
  ASSIGN_OR_RETURN(const absl::Duration tai_offset, TaiOffset());
  std::optional<uint64_t> last;
  const auto take = [&](std::string_view bytes) -> absl::StatusOr<bool> {
    KernelFile file;
    std::memcpy(&file, bytes.data(), sizeof file);
    if (file.complete == 0) {
      return absl::DataLossError(absl::StrCat("a BPF program could not read all of descriptor ",
                                              file.number, " of ", tid));
    }
    // The kernel may start over behind the last one: see BpfVmaIterator.
    if (last && file.number <= *last) return false;
    last = file.number;
    const std::string_view lasting = LastingPart(file);
    RETURN_IF_ERROR(give(file, lasting, tai_offset));
    return true;
  };
  return ReadBpfRecords(attached, sizeof(KernelFile), take);
}

}  // namespace dumpctl
