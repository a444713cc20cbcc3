// Builds the VmaList of one task and prints what it cost, for the test that counts the system calls
// from outside:
//
//   vma_list_tool PID...   (several: one cache over all of them)
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "dumpctl/status_macros.h"
#include "proc/map_file_opener.h"
#include "proc/mapped_file_cache.h"
#include "proc/proc_fs.h"
#include "proc/smaps_parser.h"
#include "proc/vma_list.h"

namespace dumpctl {
namespace {

absl::Status Run(const std::vector<pid_t>& pids) {
  ASSIGN_OR_RETURN(const dev_t kernel_tmpfs, KernelTmpfsDevice());
  MappedFileCache cache;
  const VmaList::Shared shared = {&cache, 0};
  // The seed alone for one task; a tree has its cache.
  const VmaList::Shared* use = pids.size() > 1 ? &shared : nullptr;
  std::vector<VmaList> lists;
  size_t file_vmas = 0;
  OpenCounts calls;
  for (const pid_t pid : pids) {
    ASSIGN_OR_RETURN(const ProcDir task, ProcDir::OpenTask(pid));
    ASSIGN_OR_RETURN(const std::string text, task.Read("maps"));
    ASSIGN_OR_RETURN(std::vector<Mapping> mappings, ParseMaps(text));
    ProcMapFileOpener opener(task, kernel_tmpfs);
    ASSIGN_OR_RETURN(VmaList list, VmaList::Build(std::move(mappings), opener, use));
    file_vmas += list.counts().opened + list.counts().borrowed();
    calls = calls + list.counts().calls;
    lists.push_back(std::move(list));
  }
  VmaList::CloseCounts closed;
  for (VmaList& list : lists) {
    const VmaList::CloseCounts counts = list.Close();
    closed.closed += counts.closed;
    closed.skipped += counts.skipped;
  }
  printf("file_vmas=%zu opens=%zu stats=%zu closed=%zu skipped=%zu\n", file_vmas,
         static_cast<size_t>(calls.opens), static_cast<size_t>(calls.stats), closed.closed,
         closed.skipped);
  return absl::OkStatus();
}

}  // namespace
}  // namespace dumpctl

int main(int argc, char** argv) {
  std::vector<pid_t> pids;
  for (int i = 1; i < argc; ++i) pids.push_back(atoi(argv[i]));
  const absl::Status status = dumpctl::Run(pids);
  if (!status.ok()) fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
