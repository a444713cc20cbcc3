#include "dump/session/aio_rings.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/unique_fd.h"
#include "proc/task_maps.h"

namespace dumpctl {
namespace {

using Contexts = std::map<uint64_t, AioContext>;

// The kernel has them both of 32 bytes.
constexpr uint64_t kHead = 32;
constexpr uint64_t kEvent = 32;

ResourceRefusal Refusal(pid_t pid, const Vma& ring, std::string why, std::string remedy) {
  return {pid,
          absl::StrFormat("mapping %x-%x (io_setup(2))", ring.start().value(), ring.end().value()),
          std::move(why), std::move(remedy)};
}

// The part that was unmapped, or moved away, is missing.
bool IsWhole(const Vma& ring, const Contexts& contexts) {
  const auto context = contexts.find(ring.start().value());
  return context != contexts.end() && context->second.capacity == (ring.size() - kHead) / kEvent;
}

bool IsBusy(const Vma& vma, const Contexts& contexts) {
  return vma.kind == VmaKind::kAioRing && IsWhole(vma, contexts) &&
         contexts.at(vma.start().value()).under_way > 0;
}

ResourceRefusals Refuse(pid_t pid, const VmaList& vmas, const Contexts& contexts,
                        absl::FunctionRef<bool(const Vma&)> passes) {
  ResourceRefusals refusals;
  for (const Vma& vma : vmas) {
    if (vma.kind != VmaKind::kAioRing || passes(vma)) continue;
    if (!IsWhole(vma, contexts)) {
      refusals.push_back(Refusal(pid, vma, "parts of the ring were unmapped or moved",
                                 "let the program leave the memory of its contexts alone"));
    } else if (IsBusy(vma, contexts)) {
      const uint32_t count = contexts.at(vma.start().value()).under_way;
      refusals.push_back(
          Refusal(pid, vma,
                  absl::StrCat(count, count == 1 ? " request is" : " requests are",
                               " still under way, which no restore starts again"),
                  "dump it when nothing is under way, or let the program cancel it (io_cancel)"));
    }
  }
  return refusals;
}

// Looks until there is nothing more to wait for, but no longer than disks take. Requests that wait
// for something else (IOCB_CMD_POLL) may wait for ever.
absl::Status LookPatiently(absl::FunctionRef<absl::StatusOr<bool>()> waits) {
  constexpr absl::Duration kPatience = absl::Milliseconds(500);
  const absl::Time deadline = absl::Now() + kPatience;
  for (absl::Duration pause = absl::Microseconds(200);; pause *= 2) {
    ASSIGN_OR_RETURN(const bool more, waits());
    if (!more || absl::Now() >= deadline) return absl::OkStatus();
    absl::SleepFor(std::min(pause, absl::Milliseconds(10)));
  }
}

// Where the kernel puts the next event into a ring: the fourth number of its head. None where the
// ring has gone.
std::optional<uint32_t> CountEnded(const UniqueFd& memory, uint64_t ring) {
  constexpr uint64_t kTail = 3 * sizeof(uint32_t);
  uint32_t tail = 0;
  const ssize_t n = pread(memory.get(), &tail, sizeof tail, static_cast<off_t>(ring + kTail));
  if (n != sizeof tail) return std::nullopt;
  return tail;
}

// Those that are there still, of the same size.
absl::StatusOr<std::set<uint64_t>> WhichAreThere(const ProcDir& task, const VmaList& vmas) {
  ASSIGN_OR_RETURN(const std::vector<Mapping> mappings, ReadMapsOf(task));
  std::set<uint64_t> rings;
  for (const Vma& vma : vmas) {
    if (vma.kind != VmaKind::kAioRing) continue;
    const auto same = [&vma](const Mapping& mapping) {
      return mapping.start == vma.start() && mapping.end == vma.end() &&
             mapping.name == vma.mapping.name;
    };
    if (std::any_of(mappings.begin(), mappings.end(), same)) rings.insert(vma.start().value());
  }
  return rings;
}

}  // namespace

bool HasAioRings(const VmaList& vmas) {
  return std::any_of(vmas.begin(), vmas.end(),
                     [](const Vma& vma) { return vma.kind == VmaKind::kAioRing; });
}

ResourceRefusals RefuseUntoldRings(pid_t pid, const VmaList& vmas) {
  ResourceRefusals refusals;
  for (const Vma& vma : vmas) {
    if (vma.kind != VmaKind::kAioRing) continue;
    refusals.push_back(Refusal(
        pid, vma, "only a BPF program tells which requests are under way, and none can be loaded",
        "run dumpctl as root on Linux 6.1 or newer (CONFIG_DEBUG_INFO_BTF), or the program without "
        "native asynchronous I/O"));
  }
  return refusals;
}

absl::StatusOr<ResourceRefusals> RefuseStuckRings(const ProcDir& task, pid_t pid,
                                                  const VmaList& vmas,
                                                  const BpfAioContexts& contexts) {
  ASSIGN_OR_RETURN(const UniqueFd memory, task.Open("mem", O_RDONLY));
  std::map<uint64_t, std::optional<uint32_t>> ended;  // by ring: what stood there at first
  std::set<uint64_t> moving;
  Contexts now;
  RETURN_IF_ERROR(LookPatiently([&]() -> absl::StatusOr<bool> {
    absl::StatusOr<Contexts> read = contexts.Read(pid);
    // What moves from one account to another is counted on both.
    if (absl::IsDataLoss(read.status())) return true;
    RETURN_IF_ERROR(read.status());
    now = *std::move(read);
    bool stuck = false;
    for (const Vma& vma : vmas) {
      const uint64_t ring = vma.start().value();
      if (vma.kind != VmaKind::kAioRing || moving.contains(ring)) continue;
      const std::optional<uint32_t> count = CountEnded(memory, ring);
      const auto first = ended.emplace(ring, count).first;
      const bool moves = !IsBusy(vma, now) || first->second != count;
      if (moves) moving.insert(ring);
      stuck |= !moves;
    }
    return stuck;
  }));
  ASSIGN_OR_RETURN(const std::set<uint64_t> there, WhichAreThere(task, vmas));
  return Refuse(pid, vmas, now, [&](const Vma& ring) {
    const uint64_t start = ring.start().value();
    return !there.contains(start) || (IsWhole(ring, now) && moving.contains(start));
  });
}

absl::StatusOr<ResourceRefusals> SettleAioRings(pid_t pid, const VmaList& vmas,
                                                const BpfAioContexts& contexts) {
  Contexts now;
  RETURN_IF_ERROR(LookPatiently([&]() -> absl::StatusOr<bool> {
    ASSIGN_OR_RETURN(now, contexts.Read(pid));
    return std::any_of(vmas.begin(), vmas.end(), [&](const Vma& vma) { return IsBusy(vma, now); });
  }));
  return Refuse(pid, vmas, now, [](const Vma&) { return false; });
}

}  // namespace dumpctl
