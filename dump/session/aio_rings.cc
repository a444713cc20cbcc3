#include "dump/session/aio_rings.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "dumpctl/status_macros.h"

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

ResourceRefusals Refuse(pid_t pid, const VmaList& vmas, const Contexts& contexts) {
  ResourceRefusals refusals;
  for (const Vma& vma : vmas) {
    if (vma.kind != VmaKind::kAioRing) continue;
    if (!IsWhole(vma, contexts)) {
      refusals.push_back(Refusal(pid, vma, "parts of the ring were unmapped or moved",
                                 "let the program leave the memory of its contexts alone"));
    } else if (IsBusy(vma, contexts)) {
      refusals.push_back(
          Refusal(pid, vma,
                  absl::StrCat(contexts.at(vma.start().value()).under_way,
                               " requests are still under way, which no restore starts again"),
                  "dump it when they have ended, or let the program cancel them (io_cancel)"));
    }
  }
  return refusals;
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

absl::StatusOr<ResourceRefusals> SettleAioRings(pid_t pid, const VmaList& vmas,
                                                const BpfAioContexts& contexts) {
  // Of disks. Requests that wait for something else (IOCB_CMD_POLL) may wait for ever.
  constexpr absl::Duration kPatience = absl::Milliseconds(500);
  const absl::Time deadline = absl::Now() + kPatience;
  for (absl::Duration pause = absl::Microseconds(200);; pause *= 2) {
    ASSIGN_OR_RETURN(const Contexts now, contexts.Read(pid));
    const bool busy =
        std::any_of(vmas.begin(), vmas.end(), [&](const Vma& vma) { return IsBusy(vma, now); });
    if (!busy || absl::Now() >= deadline) return Refuse(pid, vmas, now);
    absl::SleepFor(std::min(pause, absl::Milliseconds(10)));
  }
}

}  // namespace dumpctl
