#include "dump/fd/eventfd_file.h"

#include "dumpctl/status_macros.h"
#include "proc/event_fdinfo_parser.h"

namespace dumpctl {
namespace {

// The images have no place for EFD_SEMAPHORE, and stock restore hands the counter to eventfd(2),
// which takes 32 bits of it.
constexpr WhyNot kSemaphore = {
    "a restore would make a plain counter of a semaphore (EFD_SEMAPHORE)",
    "let the program close it"};
constexpr WhyNot kLargeCount = {"a restore would cut its counter to 32 bits",
                                "dump it when its reader has caught up"};

}  // namespace

absl::StatusOr<std::optional<WhyNot>> WhyNotEventfd(std::string_view info_text) {
  ASSIGN_OR_RETURN(const EventfdInfo info, ParseEventfdInfo(info_text));
  // Kernels before 6.5 do not tell semaphores.
  if (info.semaphore.value_or(false)) return kSemaphore;
  if (info.count > UINT32_MAX) return kLargeCount;
  return std::nullopt;
}

absl::StatusOr<image::eventfd_file_entry> EventfdEntry(std::string_view info_text) {
  ASSIGN_OR_RETURN(const EventfdInfo info, ParseEventfdInfo(info_text));
  image::eventfd_file_entry entry;
  entry.set_counter(info.count);
  return entry;
}

}  // namespace dumpctl
