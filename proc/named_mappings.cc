#include "proc/named_mappings.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <climits>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "dumpctl/kernel_abi.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {
namespace {

struct Name {
  std::string text;
  bool deleted = false;
};

// What BPF tells of it, and what that leaves out.
Mapping WithoutName(const MappingFlags& flags, const MappingSource& source) {
  Mapping mapping;
  mapping.start = flags.start;
  mapping.end = flags.end;
  mapping.read = flags.flags.Has(VmFlag::kRead);
  mapping.write = flags.flags.Has(VmFlag::kWrite);
  mapping.exec = flags.flags.Has(VmFlag::kExec);
  mapping.shared = flags.flags.Has(VmFlag::kMayShare);
  mapping.offset = source.offset;
  mapping.file = source.file;
  return mapping;
}

uint64_t RightsOf(const Mapping& mapping) {
  return (mapping.read ? abi::kProcmapVmaReadable : 0) |
         (mapping.write ? abi::kProcmapVmaWritable : 0) |
         (mapping.exec ? abi::kProcmapVmaExecutable : 0) |
         (mapping.shared ? abi::kProcmapVmaShared : 0);
}

class NameReader {
 public:
  explicit NameReader(UniqueFd maps) : maps_(std::move(maps)) {}

  absl::StatusOr<Name> Ask(const Mapping& mapping) {
    abi::ProcmapQuery query = {.size = sizeof query,
                               .query_addr = mapping.start.value(),
                               .vma_name_size = sizeof name_,
                               .vma_name_addr = reinterpret_cast<uint64_t>(name_)};
    if (ioctl(maps_.get(), abi::kProcmapQuery, &query) < 0) {
      if (errno == ENOENT || errno == ESRCH) return absl::NotFoundError("a mapping is gone");
      return absl::ErrnoToStatus(errno, "PROCMAP_QUERY");
    }
    if (query.vma_start != mapping.start.value() || query.vma_end != mapping.end.value() ||
        query.vma_flags != RightsOf(mapping) || query.vma_offset != mapping.offset) {
      return absl::NotFoundError("a mapping has changed");
    }
    const FileIdentity file = {.dev = makedev(query.dev_major, query.dev_minor),
                               .ino = query.inode};
    if (file != mapping.file) {
      return absl::FailedPreconditionError("maps numbers a file in another way than BPF");
    }
    return NameOf(query.vma_name_size);
  }

 private:
  // `size`: with the zero behind it; 0 for none.
  Name NameOf(uint32_t size) const {
    constexpr std::string_view kDeletedSuffix = " (deleted)";
    std::string_view text(name_, size == 0 ? 0 : size - 1);
    const bool deleted = text.ends_with(kDeletedSuffix);
    if (deleted) text.remove_suffix(kDeletedSuffix.size());
    return {std::string(text), deleted};
  }

  UniqueFd maps_;
  char name_[PATH_MAX];
};

}  // namespace

absl::StatusOr<std::vector<Mapping>> NameMappings(const ProcDir& task, const BpfMappings& read) {
  ASSIGN_OR_RETURN(UniqueFd maps, task.Open("maps", O_RDONLY));
  NameReader reader(std::move(maps));
  // Of files, by what they were opened by. While the task runs these may come to be others, so that
  // the file counts as well.
  absl::flat_hash_map<std::tuple<uint64_t, uint64_t, FileIdentity>, Name> names;
  std::vector<Mapping> mappings;
  mappings.reserve(read.flags.size());
  const size_t own = read.flags.size() - read.of_every_task.size();
  for (size_t i = 0; i < own; ++i) {
    const MappingSource& source = read.sources[i];
    Mapping& mapping = mappings.emplace_back(WithoutName(read.flags[i], source));
    if (source.may_be_named) {
      ASSIGN_OR_RETURN(Name name, reader.Ask(mapping));
      mapping.name = std::move(name.text);
      mapping.deleted = name.deleted;
    } else if (source.file.valid()) {
      const auto [known, is_new] = names.try_emplace({source.dentry, source.mount, source.file});
      if (is_new) {
        ASSIGN_OR_RETURN(known->second, reader.Ask(mapping));
      }
      mapping.name = known->second.text;
      mapping.deleted = known->second.deleted;
    }
  }
  for (const Mapping& mapping : read.of_every_task) {
    mappings.push_back(mapping);
    mappings.back().flags.reset();
  }
  return mappings;
}

}  // namespace dumpctl
