#include "proc/limits_parser.h"

#include <bitset>
#include <vector>

#include "proc/text_fields.h"

namespace dumpctl {
namespace {

struct Name {
  int resource;
  std::string_view text;
};

constexpr Name kNames[] = {
    {RLIMIT_CPU, "Max cpu time"},
    {RLIMIT_FSIZE, "Max file size"},
    {RLIMIT_DATA, "Max data size"},
    {RLIMIT_STACK, "Max stack size"},
    {RLIMIT_CORE, "Max core file size"},
    {RLIMIT_RSS, "Max resident set"},
    {RLIMIT_NPROC, "Max processes"},
    {RLIMIT_NOFILE, "Max open files"},
    {RLIMIT_MEMLOCK, "Max locked memory"},
    {RLIMIT_AS, "Max address space"},
    {RLIMIT_LOCKS, "Max file locks"},
    {RLIMIT_SIGPENDING, "Max pending signals"},
    {RLIMIT_MSGQUEUE, "Max msgqueue size"},
    {RLIMIT_NICE, "Max nice priority"},
    {RLIMIT_RTPRIO, "Max realtime priority"},
    {RLIMIT_RTTIME, "Max realtime timeout"},
};
static_assert(std::size(kNames) == RLIM_NLIMITS);

std::optional<uint64_t> LimitOf(std::string_view word) {
  if (word == "unlimited") return RLIM_INFINITY;
  return NumberOf<uint64_t>(word);
}

}  // namespace

absl::StatusOr<Rlimits> ParseLimits(std::string_view text) {
  Rlimits limits;
  std::bitset<RLIM_NLIMITS> seen;
  const std::string_view heading = TakeUntil(text, '\n');
  if (!heading.starts_with("Limit")) return MalformedText("limits", "heading", heading);
  while (!text.empty()) {
    const std::string_view line = TakeUntil(text, '\n');
    const Name* name = nullptr;
    for (const Name& candidate : kNames) {
      if (line.starts_with(candidate.text) && line.substr(candidate.text.size()).starts_with(' ')) {
        name = &candidate;
      }
    }
    if (name == nullptr) return MalformedText("limits", "Limit", line);
    const std::vector<std::string_view> words = Words(line.substr(name->text.size()));
    // The unit behind the two values is missing for some.
    if (words.size() < 2 || words.size() > 3) return MalformedText("limits", name->text, line);
    const auto soft = LimitOf(words[0]);
    const auto hard = LimitOf(words[1]);
    const auto resource = static_cast<size_t>(name->resource);
    if (!soft || !hard || seen.test(resource)) return MalformedText("limits", name->text, line);
    limits[resource] = {.soft = *soft, .hard = *hard};
    seen.set(resource);
  }
  for (const Name& name : kNames) {
    if (!seen.test(static_cast<size_t>(name.resource))) {
      return absl::DataLossError(absl::StrCat("limits: no field ", std::string(name.text)));
    }
  }
  return limits;
}

}  // namespace dumpctl
