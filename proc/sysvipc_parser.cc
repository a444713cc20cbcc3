#include "proc/sysvipc_parser.h"

#include "dumpctl/status_macros.h"
#include "proc/text_fields.h"

namespace dumpctl {
namespace {

// One line, whose columns are taken in their order.
class Columns {
 public:
  Columns(std::string_view file, std::string_view line)
      : file_(file), line_(line), words_(Words(line)) {}

  template <typename T>
  absl::Status Take(std::string_view field, T& value, int base = 10) {
    if (next_ == words_.size()) return MalformedText(file_, field, line_);
    const auto number = NumberOf<T>(words_[next_++], base);
    if (!number) return MalformedText(file_, field, line_);
    value = *number;
    return absl::OkStatus();
  }

  absl::Status TakeNames(SysvObject& object) {
    RETURN_IF_ERROR(Take("key", object.key));
    RETURN_IF_ERROR(Take("id", object.id));
    return Take("perms", object.mode, 8);
  }

  absl::Status TakeOwners(SysvObject& object) {
    RETURN_IF_ERROR(Take("uid", object.uid));
    RETURN_IF_ERROR(Take("gid", object.gid));
    RETURN_IF_ERROR(Take("cuid", object.creator_uid));
    return Take("cgid", object.creator_gid);
  }

 private:
  std::string_view file_;
  std::string_view line_;
  std::vector<std::string_view> words_;
  size_t next_ = 0;
};

absl::Status Fill(Columns columns, SysvSegment& segment) {
  RETURN_IF_ERROR(columns.TakeNames(segment.object));
  RETURN_IF_ERROR(columns.Take("size", segment.size));
  RETURN_IF_ERROR(columns.Take("cpid", segment.creator));
  RETURN_IF_ERROR(columns.Take("lpid", segment.last));
  RETURN_IF_ERROR(columns.Take("nattch", segment.attached));
  return columns.TakeOwners(segment.object);
}

absl::Status Fill(Columns columns, SysvSemaphores& semaphores) {
  RETURN_IF_ERROR(columns.TakeNames(semaphores.object));
  RETURN_IF_ERROR(columns.Take("nsems", semaphores.count));
  return columns.TakeOwners(semaphores.object);
}

absl::Status Fill(Columns columns, SysvQueue& queue) {
  RETURN_IF_ERROR(columns.TakeNames(queue.object));
  RETURN_IF_ERROR(columns.Take("cbytes", queue.bytes));
  RETURN_IF_ERROR(columns.Take("qnum", queue.messages));
  RETURN_IF_ERROR(columns.Take("lspid", queue.last_sender));
  RETURN_IF_ERROR(columns.Take("lrpid", queue.last_receiver));
  return columns.TakeOwners(queue.object);
}

// The first line names the columns.
template <typename T>
absl::StatusOr<std::vector<T>> Parse(std::string_view file, std::string_view text) {
  std::vector<T> objects;
  TakeUntil(text, '\n');
  while (!text.empty()) {
    RETURN_IF_ERROR(Fill(Columns(file, TakeUntil(text, '\n')), objects.emplace_back()));
  }
  return objects;
}

}  // namespace

absl::StatusOr<std::vector<SysvSegment>> ParseSysvSegments(std::string_view text) {
  return Parse<SysvSegment>("sysvipc/shm", text);
}

absl::StatusOr<std::vector<SysvSemaphores>> ParseSysvSemaphores(std::string_view text) {
  return Parse<SysvSemaphores>("sysvipc/sem", text);
}

absl::StatusOr<std::vector<SysvQueue>> ParseSysvQueues(std::string_view text) {
  return Parse<SysvQueue>("sysvipc/msg", text);
}

}  // namespace dumpctl
