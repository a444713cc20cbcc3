#include "dump/fd/descriptor.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/fd/descriptor_rows.h"
#include "dump/fd/one_descriptor.h"
#include "dumpctl/status_macros.h"
#include "proc/text_fields.h"

namespace dumpctl {
namespace {

absl::StatusOr<std::vector<int>> ListDescriptors(const ProcDir& task) {
  ASSIGN_OR_RETURN(std::vector<int> numbers, ListNumbers(task, "fd"));
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

bool WatchesSomething(const Descriptor& descriptor) {
  if (descriptor.link && *descriptor.link != "anon_inode:[eventpoll]") return false;
  return HasLine(descriptor.info_text, "tfd:");
}

absl::Status ReadWatches(pid_t pid, const std::vector<int>& numbers,
                         std::vector<Descriptor>& descriptors) {
  for (Descriptor& descriptor : descriptors) {
    if (!WatchesSomething(descriptor)) continue;
    ASSIGN_OR_RETURN(descriptor.watches,
                     ReadEpollWatches(pid, descriptor.number, descriptor.info_text, numbers));
  }
  return absl::OkStatus();
}

absl::Status Index(pid_t pid, Descriptor& descriptor, OpenFileIndex& index) {
  if (index.by_bpf() != nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(const FdInfo info, InfoOf(descriptor));
  ASSIGN_OR_RETURN(descriptor.open_file,
                   index.NumberOf(pid, descriptor.number, LikenessOf(descriptor.stat, info)));
  return absl::OkStatus();
}

// The link is read in `task`, where its number is.
absl::Status GiveUpCopy(const ProcDir& task, bool is_first, Descriptor& descriptor) {
  ASSIGN_OR_RETURN(descriptor.link, DescriptorLink(task, descriptor.number));
  if (!NeedsCopy(descriptor, is_first)) descriptor.copy.Reset();
  return absl::OkStatus();
}

std::vector<int> NumbersOf(const std::vector<Descriptor>& descriptors) {
  std::vector<int> numbers;
  for (const Descriptor& descriptor : descriptors) numbers.push_back(descriptor.number);
  return numbers;
}

}  // namespace

absl::Status AddUnlessGone(absl::StatusOr<Descriptor> descriptor,
                           std::vector<Descriptor>& descriptors) {
  if (absl::IsNotFound(descriptor.status())) return absl::OkStatus();
  RETURN_IF_ERROR(descriptor.status());
  descriptors.push_back(*std::move(descriptor));
  return absl::OkStatus();
}

absl::StatusOr<FdInfo> InfoOf(const Descriptor& descriptor) {
  if (descriptor.info) return *descriptor.info;
  return ParseFdInfo(descriptor.info_text);
}

absl::StatusOr<size_t> CountDescriptors(const ProcDir& task) {
  ASSIGN_OR_RETURN(const std::vector<int> numbers, ListNumbers(task, "fd"));
  return numbers.size();
}

size_t QuickCountOfDescriptors(const ProcDir& task) {
  struct stat stat = {};
  if (fstatat(task.fd().get(), "fd", &stat, 0) < 0) return 0;
  return static_cast<size_t>(stat.st_size);
}

absl::StatusOr<std::vector<Descriptor>> ReadDescriptors(const ProcDir& task, pid_t pid,
                                                        BorrowedFd pidfd, OpenFileIndex* index,
                                                        std::vector<Descriptor> peeked) {
  if (index != nullptr && index->by_bpf() != nullptr) {
    ASSIGN_OR_RETURN(std::vector<Descriptor> descriptors,
                     ReadDescriptorRows(task, pid, pidfd, *index, std::move(peeked)));
    RETURN_IF_ERROR(ReadWatches(pid, NumbersOf(descriptors), descriptors));
    return descriptors;
  }
  ASSIGN_OR_RETURN(const std::vector<int> numbers, ListDescriptors(task));
  std::vector<Descriptor> descriptors;
  descriptors.reserve(numbers.size());
  for (const int number : numbers) {
    ASSIGN_OR_RETURN(UniqueFd copy, TakeCopy(task, pidfd, number));
    ASSIGN_OR_RETURN(Descriptor descriptor, ReadDescriptor(task, number, std::move(copy)));
    if (index != nullptr) {
      const uint32_t known = index->size();
      RETURN_IF_ERROR(Index(pid, descriptor, *index));
      RETURN_IF_ERROR(GiveUpCopy(task, descriptor.open_file > known, descriptor));
    }
    descriptors.push_back(std::move(descriptor));
  }
  RETURN_IF_ERROR(ReadWatches(pid, numbers, descriptors));
  return descriptors;
}

absl::StatusOr<std::vector<Descriptor>> DescribeCopies(std::vector<UniqueFd> copies,
                                                       OpenFileIndex* index) {
  std::vector<Descriptor> descriptors;
  if (copies.empty()) return descriptors;
  ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenOwn());
  for (UniqueFd& copy : copies) {
    const int number = copy.get();
    ASSIGN_OR_RETURN(Descriptor descriptor, ReadDescriptor(self, number, std::move(copy)));
    if (index != nullptr) RETURN_IF_ERROR(Index(getpid(), descriptor, *index));
    // What it watches has no numbers here.
    if (WatchesSomething(descriptor)) {
      ASSIGN_OR_RETURN(descriptor.watches,
                       ReadEpollWatches(getpid(), number, descriptor.info_text, {}));
    }
    descriptor.number = kInQueue;
    descriptors.push_back(std::move(descriptor));
  }
  return descriptors;
}

absl::StatusOr<std::vector<Glance>> GlanceAtDescriptors(const ProcDir& task) {
  ASSIGN_OR_RETURN(const std::vector<int> numbers, ListDescriptors(task));
  std::vector<Glance> glances;
  glances.reserve(numbers.size());
  for (const int number : numbers) {
    Glance glance{.number = number};
    const absl::Status status = StatOf(task, number, glance.stat);
    if (absl::IsNotFound(status)) continue;
    RETURN_IF_ERROR(status);
    glances.push_back(glance);
  }
  return glances;
}

absl::StatusOr<std::vector<Descriptor>> PeekDescriptors(const ProcDir& task) {
  ASSIGN_OR_RETURN(const std::vector<Glance> glances, GlanceAtDescriptors(task));
  return PeekDescriptors(task, glances);
}

absl::StatusOr<std::vector<Descriptor>> PeekDescriptors(const ProcDir& task,
                                                        std::span<const Glance> glances) {
  std::vector<Descriptor> descriptors;
  descriptors.reserve(glances.size());
  for (const Glance& glance : glances) {
    RETURN_IF_ERROR(AddUnlessGone(PeekDescriptor(task, glance), descriptors));
  }
  return descriptors;
}

bool IsKept(const Descriptor& descriptor) { return NeedsCopy(descriptor, true); }

absl::Status SettleCopies(const ProcDir& self, bool with_dupfd_query,
                          std::span<std::vector<Descriptor>* const> tables) {
  OpenFileIndex index(with_dupfd_query);
  for (std::vector<Descriptor>* const table : tables) {
    for (Descriptor& descriptor : *table) {
      if (!descriptor.copy) continue;
      const int copy = descriptor.copy_number = descriptor.copy.get();
      if (!descriptor.link) {
        ASSIGN_OR_RETURN(descriptor.link, DescriptorLink(self, copy));
      }
      if (descriptor.open_file != 0) continue;
      ASSIGN_OR_RETURN(const FdInfo info, InfoOf(descriptor));
      ASSIGN_OR_RETURN(descriptor.open_file,
                       index.NumberOf(getpid(), copy, LikenessOf(descriptor.stat, info)));
    }
  }
  for (std::vector<Descriptor>* const table : tables) {
    for (Descriptor& descriptor : *table) descriptor.copy.Reset();
  }
  return absl::OkStatus();
}

absl::Status ReadNamedLinks(const ProcDir& self, std::vector<Descriptor>& descriptors) {
  for (Descriptor& descriptor : descriptors) {
    if (descriptor.link || !descriptor.copy) continue;
    absl::StatusOr<std::string> link = self.ReadLink(absl::StrCat("fd/", descriptor.copy.get()));
    RETURN_IF_ERROR(link.status());
    // The name of a pipe stays what it is, too.
    if (link->starts_with('/') || link->starts_with("pipe:")) descriptor.link = *std::move(link);
  }
  return absl::OkStatus();
}

}  // namespace dumpctl
