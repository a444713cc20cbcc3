#include "proc/bpf_open_files.h"

#include <cstring>
#include <ctime>
#include <string_view>

#include "absl/time/time.h"
#include "dumpctl/status_macros.h"
#include "proc/bpf_assembler.h"
#include "proc/bpf_file_program.h"
#include "proc/bpf_program.h"
#include "proc/kernel_file.h"

namespace dumpctl {
namespace {

// Whole seconds: see clock_gettime(2).
absl::Duration TaiOffset() {
  timespec tai = {};
  timespec real = {};
  clock_gettime(CLOCK_TAI, &tai);
  clock_gettime(CLOCK_REALTIME, &real);
  const absl::Duration apart = absl::DurationFromTimespec(tai) - absl::DurationFromTimespec(real);
  return absl::Trunc(apart + absl::Milliseconds(500), absl::Seconds(1));
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
  const absl::Duration tai_offset = TaiOffset();
  std::vector<OpenFileRow> rows;
  const auto take = [&](std::string_view bytes) -> absl::StatusOr<bool> {
    KernelFile file;
    std::memcpy(&file, bytes.data(), sizeof file);
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
