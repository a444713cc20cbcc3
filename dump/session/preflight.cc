#include "dump/session/preflight.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "dump/fd/fd_collector.h"
#include "dump/mm/vma_collector.h"
#include "dump/ns/namespaces.h"
#include "dump/session/heap.h"
#include "dumpctl/failure.h"
#include "dumpctl/printable.h"
#include "dumpctl/status_macros.h"
#include "proc/children_parser.h"
#include "proc/map_file_opener.h"
#include "proc/smaps_parser.h"

namespace dumpctl {
namespace {

void Append(ResourceRefusals& to, ResourceRefusals from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

// All descendants, as far as they stay while we look.
absl::StatusOr<std::vector<pid_t>> Descendants(const ProcDir& root) {
  std::vector<pid_t> found;
  const auto add_children = [&found](const ProcDir& task) -> absl::Status {
    ASSIGN_OR_RETURN(const std::vector<int> threads, ListNumbers(task, "task"));
    for (const int thread : threads) {
      const auto text = task.Read(absl::StrCat("task/", thread, "/children"));
      if (absl::IsNotFound(text.status())) continue;
      RETURN_IF_ERROR(text.status());
      ASSIGN_OR_RETURN(const std::vector<pid_t> children, ParseChildren(*text));
      found.insert(found.end(), children.begin(), children.end());
    }
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(add_children(root));
  for (size_t next = 0; next < found.size(); ++next) {
    const auto child = ProcDir::OpenTask(found[next]);
    if (!child.ok()) continue;
    const absl::Status status = add_children(*child);
    if (!absl::IsNotFound(status)) RETURN_IF_ERROR(status);
  }
  return found;
}

absl::StatusOr<ResourceRefusals> RefuseTree(const DumpOptions& options, const Target& target) {
  ResourceRefusals refusals;
  ASSIGN_OR_RETURN(const std::vector<pid_t> below, Descendants(target.dir));
  if (!below.empty()) {
    refusals.push_back({target.pid,
                        absl::StrCat("the tree below it has ", below.size(),
                                     below.size() == 1 ? " task" : " tasks", " (the first is ",
                                     below.front(), ")"),
                        "this version dumps single processes", "dump it when it has no children"});
  }
  if (target.session != target.pid && !options.shell_job) {
    refusals.push_back({target.pid, absl::StrCat("session ", target.session),
                        "the session's leader is not part of the dump, so that a restore could "
                        "not make the session",
                        "add --shell-job (-j): a restore then runs it in the session of who "
                        "restores"});
  }
  return refusals;
}

absl::Status CheckNamespaces(const Target& target, Preflight& preflight) {
  ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenTask(getpid()));
  ASSIGN_OR_RETURN(const NamespaceLinks ours, ReadNamespaces(self));
  ASSIGN_OR_RETURN(const NamespaceLinks theirs, ReadNamespaces(target.dir));
  Append(preflight.blockers, RefuseForeignNamespaces(target.pid, theirs, ours));
  struct stat stat = {};
  if (fstatat(target.dir.fd().get(), "ns/mnt", &stat, 0) < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat(target.dir.path(), "/ns/mnt"));
  }
  preflight.mount_namespace = stat.st_ino;
  return absl::OkStatus();
}

size_t CountMappings(const std::string& maps_text) {
  return static_cast<size_t>(std::count(maps_text.begin(), maps_text.end(), '\n'));
}

// Whether the flags of these mappings are better not read from smaps, which takes some 6 us for a
// mapping and 11 us for a resident MB, while the target stands still. Loading a BPF program takes
// 4 ms on another CPU, while it runs.
bool IsSmapsSlow(const Target& target, size_t mappings) {
  constexpr uint64_t kSlow = 10'000;  // us
  // statm: the size, and what is resident of it, in pages.
  uint64_t resident = 0;
  const std::vector<std::string> statm = absl::StrSplit(target.dir.Read("statm").value_or(""), ' ');
  if (statm.size() > 1 && !absl::SimpleAtoi(statm[1], &resident)) resident = 0;
  return 6 * mappings + 11 * resident / 256 > kSlow;
}

absl::Status OpenMappedFiles(const Target& target, const KernelFeatures& features,
                             Preflight& preflight) {
  preflight.cache = std::make_unique<MappedFileCache>();
  ASSIGN_OR_RETURN(preflight.kernel_tmpfs, KernelTmpfsDevice());
  constexpr size_t kHeapForMapping = 512;
  // The target runs: what maps told may be gone when it is opened.
  constexpr int kTries = 3;
  for (int i = 0; i < kTries; ++i) {
    ASSIGN_OR_RETURN(preflight.maps_text, target.dir.Read("maps"));
    if (i == 0) {
      const size_t mappings = CountMappings(preflight.maps_text);
      // Their list, with its names, and what becomes of it.
      ReserveHeap(mappings * kHeapForMapping + preflight.maps_text.size());
      if (features.Has(KernelFeature::kBpfTaskVma) && IsSmapsSlow(target, mappings)) {
        preflight.flags_by_bpf = std::async(std::launch::async, BpfVmFlags::Load, target.pid);
      }
    }
    ASSIGN_OR_RETURN(std::vector<Mapping> mappings, ParseMaps(preflight.maps_text));
    ProcMapFileOpener opener(target.dir, preflight.kernel_tmpfs);
    const VmaList::Shared shared{preflight.cache.get(), preflight.mount_namespace};
    absl::StatusOr<VmaList> vmas = VmaList::Build(std::move(mappings), opener, &shared);
    if (absl::IsNotFound(vmas.status())) continue;
    RETURN_IF_ERROR(vmas.status());
    preflight.vmas = *std::move(vmas);
    break;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Preflight> RunPreflight(const DumpOptions& options, const Target& target,
                                       const KernelFeatures& features) {
  Preflight preflight;
  ASSIGN_OR_RETURN(preflight.blockers, RefuseTree(options, target));
  RETURN_IF_ERROR(CheckNamespaces(target, preflight));
  ASSIGN_OR_RETURN(const std::vector<Descriptor> descriptors, PeekDescriptors(target.dir));
  ASSIGN_OR_RETURN(ResourceRefusals refused,
                   RefuseDescriptors(target.pid, target.dir, descriptors));
  Append(preflight.blockers, std::move(refused));
  RETURN_IF_ERROR(OpenMappedFiles(target, features, preflight));
  if (preflight.vmas) {
    Append(preflight.blockers, RefuseMappings(target.pid, *preflight.vmas));
  }
  return preflight;
}

absl::Status RefusedStatus(const ResourceRefusals& refusals) {
  std::string message = "refused before anything was changed";
  if (refusals.size() > 1) absl::StrAppend(&message, ", for ", refusals.size(), " reasons");
  message += ":";
  for (const ResourceRefusal& refusal : refusals) {
    absl::StrAppend(&message, refusals.size() > 1 ? "\n  " : " ", "process ", refusal.pid, ", ",
                    Printable(refusal.resource), ": ", refusal.why, "; ", refusal.remedy);
  }
  return MakeFailure(Failure::kRefused, absl::StatusCode::kUnimplemented, message);
}

}  // namespace dumpctl
