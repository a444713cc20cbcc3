#include "dump/fd/descriptor_rows.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string_view>
#include <utility>

#include "absl/time/time.h"
#include "dump/fd/file_refusal.h"
#include "dump/fd/one_descriptor.h"
#include "dump/fd/proc_file.h"
#include "dump/fd/timerfd_file.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// Whether the path leads to the inode that is kept so, which tells its stat sooner than procfs
// does. Not asked of what follows other rules: devices, and the files of procfs.
bool StatByName(const std::string& path, const struct stat& kept, struct stat& stat) {
  if (!path.starts_with('/') || path.ends_with(" (deleted)")) return false;
  if (!S_ISREG(kept.st_mode) && !S_ISDIR(kept.st_mode)) return false;
  struct stat there = {};
  if (fstatat(AT_FDCWD, path.c_str(), &there, AT_SYMLINK_NOFOLLOW) < 0 ||
      there.st_dev != kept.st_dev || there.st_ino != kept.st_ino || ProcFileAt(there, path)) {
    return false;
  }
  stat = there;
  return true;
}

void TakeInfo(OpenFileRow& row, Descriptor& descriptor) {
  descriptor.info = std::move(row.info);
  descriptor.info_text = std::move(row.more);
}

// Stat and link, where the row does not have them.
absl::Status Identify(const ProcDir& task, OpenFileRow& row, Descriptor& descriptor) {
  descriptor.link = std::move(row.link);
  if (!descriptor.link) {
    ASSIGN_OR_RETURN(descriptor.link, DescriptorLink(task, row.number));
  }
  descriptor.empty_pipe = row.empty_pipe;
  if (row.stat) {
    descriptor.stat = *row.stat;
    return absl::OkStatus();
  }
  descriptor.named = StatByName(*descriptor.link, row.kept, descriptor.stat);
  return descriptor.named ? absl::OkStatus() : StatOf(task, row.number, descriptor.stat);
}

// Whether stat(2) says what the kernel keeps, so that it says so again as long as that is the same.
// All but times, and blocks that are yet to be allocated: these matter of files without names
// alone.
bool SaysWhatIsKept(const struct stat& stat, const struct stat& kept) {
  return stat.st_dev == kept.st_dev && stat.st_ino == kept.st_ino && stat.st_mode == kept.st_mode &&
         stat.st_nlink == kept.st_nlink && stat.st_uid == kept.st_uid &&
         stat.st_gid == kept.st_gid && stat.st_size == kept.st_size &&
         stat.st_blocks == kept.st_blocks;
}

// Whether there is more to be asked for than text.
bool TakesCopy(const OpenFileRow& row, const Descriptor& descriptor) {
  const FileKind kind = FileKindOf(descriptor.stat, *descriptor.link, 0);
  return row.may_be_owned || IsUnwound(descriptor.info_text) || kind == FileKind::kInotify ||
         kind == FileKind::kFanotify;
}

// Copies, of a frozen task, what has to be asked or kept by a copy.
absl::Status Copy(const ProcDir& task, BorrowedFd pidfd, bool asks, bool is_first,
                  Descriptor& descriptor) {
  const bool keeps = NeedsCopy(descriptor, is_first);
  if (!asks && !keeps) return absl::OkStatus();
  ASSIGN_OR_RETURN(descriptor.copy, TakeCopy(task, pidfd, descriptor.number));
  if (asks) RETURN_IF_ERROR(AskCopy(task, descriptor.number, descriptor));
  if (!keeps) descriptor.copy.Reset();
  return absl::OkStatus();
}

// Of a frozen task; what the row does not have is read as ReadDescriptor reads it.
absl::StatusOr<Descriptor> ReadRow(const ProcDir& task, BorrowedFd pidfd, OpenFileRow row,
                                   bool is_first) {
  Descriptor descriptor{.number = row.number};
  RETURN_IF_ERROR(Identify(task, row, descriptor));
  if (row.info) {
    TakeInfo(row, descriptor);
  } else {
    RETURN_IF_ERROR(ReadInfo(task, row.number, descriptor));
  }
  RETURN_IF_ERROR(Copy(task, pidfd, TakesCopy(row, descriptor), is_first, descriptor));
  return descriptor;
}

// What was peeked at, ascending, and what is read of a task, ascending likewise. Most often that is
// the same, and stays where it is.
class PeekedRows {
 public:
  explicit PeekedRows(std::vector<Descriptor> peeked) : read_(std::move(peeked)) {}

  // A place for the next one that is read, with what was peeked at of that number, if anything was.
  Descriptor& Next(int number) {
    if (in_place_ && (next_ == read_.size() || read_[next_].number != number)) PartRest();
    if (in_place_) return read_[next_++];
    while (next_ < rest_.size() && rest_[next_].number < number) ++next_;
    const bool known = next_ < rest_.size() && rest_[next_].number == number;
    return known ? read_.emplace_back(std::move(rest_[next_++])) : read_.emplace_back();
  }

  // What was read.
  std::vector<Descriptor> Finish() && {
    if (in_place_) PartRest();
    return std::move(read_);
  }

 private:
  // Others come between them from here on.
  void PartRest() {
    const auto begin = read_.begin() + static_cast<std::ptrdiff_t>(next_);
    rest_.assign(std::make_move_iterator(begin), std::make_move_iterator(read_.end()));
    read_.erase(begin, read_.end());
    next_ = 0;
    in_place_ = false;
  }

  bool in_place_ = true;
  std::vector<Descriptor> read_;
  std::vector<Descriptor> rest_;
  size_t next_ = 0;  // of those that were peeked at
};

absl::StatusOr<Descriptor> PeekRow(const ProcDir& task, OpenFileRow row) {
  if (!row.info) return PeekDescriptor(task, row.number);
  Descriptor descriptor{.number = row.number};
  RETURN_IF_ERROR(Identify(task, row, descriptor));
  // It may be another file by now.
  if (descriptor.stat.st_ino != row.inode) return PeekDescriptor(task, row.number);
  TakeInfo(row, descriptor);
  const bool says_all =
      row.says_all && (row.stat || (descriptor.named && SaysWhatIsKept(descriptor.stat, row.kept)));
  if (says_all) descriptor.record = std::move(row.record);
  return descriptor;
}

}  // namespace

absl::StatusOr<std::vector<Descriptor>> ReadDescriptorRows(const ProcDir& task, pid_t pid,
                                                           BorrowedFd pidfd, OpenFileIndex& index,
                                                           std::vector<Descriptor> before) {
  PeekedRows rows(std::move(before));
  const auto take = [&](const KernelFile& file, std::string_view lasting,
                        absl::Duration tai_offset) -> absl::Status {
    const uint32_t known = index.size();
    const uint32_t open_file = index.NumberOf(file.address);
    const bool is_first = open_file > known;
    Descriptor& descriptor = rows.Next(static_cast<int>(file.number));
    if (descriptor.record == lasting) {
      RETURN_IF_ERROR(Copy(task, pidfd, false, is_first, descriptor));
    } else {
      ASSIGN_OR_RETURN(descriptor, ReadRow(task, pidfd, RowOf(file, tai_offset), is_first));
    }
    descriptor.open_file = open_file;
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(index.by_bpf()->Read(pid, take));
  return std::move(rows).Finish();
}

absl::StatusOr<std::vector<Descriptor>> PeekDescriptors(const ProcDir& task, pid_t pid,
                                                        const BpfOpenFiles& by_bpf, size_t count) {
  std::vector<Descriptor> descriptors;
  descriptors.reserve(count);
  const absl::Status told = by_bpf.Read(
      pid, [&](const KernelFile& file, std::string_view lasting, absl::Duration tai_offset) {
        OpenFileRow row = RowOf(file, tai_offset);
        if (row.says_all) row.record = std::string(lasting);
        return AddUnlessGone(PeekRow(task, std::move(row)), descriptors);
      });
  // Procfs knows them as well.
  if (!told.ok()) return PeekDescriptors(task);
  return descriptors;
}

absl::Status NumberCopies(OpenFileIndex& index, std::vector<Descriptor>& copies) {
  if (index.by_bpf() == nullptr || copies.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<OpenFileRow> rows, index.by_bpf()->Read(getpid()));
  for (Descriptor& copy : copies) {
    const auto row =
        std::lower_bound(rows.begin(), rows.end(), copy.copy.get(),
                         [](const OpenFileRow& each, int number) { return each.number < number; });
    if (row == rows.end() || row->number != copy.copy.get()) {
      return absl::InternalError("a BPF program does not tell of our own descriptors");
    }
    copy.open_file = index.NumberOf(row->open_file);
  }
  return absl::OkStatus();
}

}  // namespace dumpctl
