#include "dump/task/seccomp_collector.h"

#include <linux/filter.h>
#include <sys/ptrace.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// struct seccomp_metadata of <linux/ptrace.h>, which collides with <sys/ptrace.h>.
struct Metadata {
  uint64_t index;
  uint64_t flags;
};

// Index 0 is the filter that was installed first. None behind the last one.
absl::StatusOr<std::optional<std::string>> ReadProgram(pid_t tid, uint64_t index) {
  void* const offset = reinterpret_cast<void*>(index);
  const long length = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, offset, nullptr);
  if (length < 0) {
    // EINVAL: the thread has no filter at all.
    if (errno == ENOENT || errno == EINVAL) return std::optional<std::string>();
    return absl::ErrnoToStatus(errno, absl::StrCat("PTRACE_SECCOMP_GET_FILTER of thread ", tid));
  }
  std::string program(static_cast<size_t>(length) * sizeof(sock_filter), '\0');
  if (ptrace(PTRACE_SECCOMP_GET_FILTER, tid, offset, program.data()) < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("PTRACE_SECCOMP_GET_FILTER of thread ", tid));
  }
  return std::optional(std::move(program));
}

absl::StatusOr<uint32_t> ReadFlags(pid_t tid, uint64_t index) {
  Metadata metadata{.index = index, .flags = 0};
  const long size = static_cast<long>(sizeof metadata);
  if (ptrace(PTRACE_SECCOMP_GET_METADATA, tid, reinterpret_cast<void*>(size), &metadata) < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("PTRACE_SECCOMP_GET_METADATA of thread ", tid));
  }
  return static_cast<uint32_t>(metadata.flags);
}

}  // namespace

absl::StatusOr<std::optional<uint32_t>> SeccompCollector::Collect(pid_t tid) {
  struct Filter {
    std::string program;
    uint32_t flags;
  };
  std::vector<Filter> filters;  // the eldest first
  for (uint64_t index = 0;; ++index) {
    ASSIGN_OR_RETURN(std::optional<std::string> program, ReadProgram(tid, index));
    if (!program) break;
    ASSIGN_OR_RETURN(const uint32_t flags, ReadFlags(tid, index));
    filters.push_back({*std::move(program), flags});
  }
  if (filters.empty()) return std::optional<uint32_t>();
  int64_t younger = -1;
  for (auto filter = filters.rbegin(); filter != filters.rend(); ++filter) {
    const auto next = static_cast<uint32_t>(entry_.seccomp_filters_size());
    const auto [known, is_new] =
        known_.try_emplace(Key(filter->program, filter->flags, younger), next);
    if (is_new) {
      image::seccomp_filter* entry = entry_.add_seccomp_filters();
      entry->set_filter(std::move(filter->program));
      if (filter->flags != 0) entry->set_flags(filter->flags);
      if (younger >= 0) entry->set_prev(static_cast<uint32_t>(younger));
    }
    younger = known->second;
  }
  return std::optional(static_cast<uint32_t>(younger));
}

}  // namespace dumpctl
