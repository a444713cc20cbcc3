#include "proc/status_parser.h"

#include <bitset>
#include <functional>
#include <iterator>

#include "dumpctl/status_macros.h"
#include "proc/text_fields.h"

namespace dumpctl {
namespace {

template <typename T>
bool TakeNumber(std::string_view value, T& out, int base = 10) {
  const std::optional<T> number = NumberOf<T>(value, base);
  if (number) out = *number;
  return number.has_value();
}

template <typename T>
bool TakeList(std::string_view value, std::vector<T>& out) {
  for (const std::string_view word : Words(value)) {
    if (!TakeNumber(word, out.emplace_back())) return false;
  }
  return true;
}

bool TakeIds(std::string_view value, IdSet& out) {
  std::vector<uint32_t> ids;
  if (!TakeList(value, ids) || ids.size() != 4) return false;
  out = {.real = ids[0], .effective = ids[1], .saved = ids[2], .filesystem = ids[3]};
  return true;
}

bool HasWord(std::string_view value, std::string_view word) {
  while (!value.empty()) {
    if (TakeUntil(value, ' ') == word) return true;
  }
  return false;
}

// "12 kB"
bool TakeKib(std::string_view value, uint64_t& out) {
  constexpr std::string_view kUnit = " kB";
  if (!value.ends_with(kUnit)) return false;
  value.remove_suffix(kUnit.size());
  return TakeNumber(value, out);
}

bool TakeBool(std::string_view value, bool& out) {
  out = value == "1";
  return value == "0" || value == "1";
}

struct Field {
  std::string_view key;
  bool required;
  bool (*take)(std::string_view, TaskStatus&);
};

using S = TaskStatus;
using V = std::string_view;

constexpr Field kFields[] = {
    {"Name", true,
     [](V v, S& s) {
       s.name = std::string(v);
       return true;
     }},
    {"Umask", false, [](V v, S& s) { return TakeNumber(v, s.umask.emplace(), 8); }},
    {"State", true,
     [](V v, S& s) {
       s.state = v.empty() ? 0 : v[0];
       return !v.empty();
     }},
    {"Tgid", true, [](V v, S& s) { return TakeNumber(v, s.tgid); }},
    {"Pid", true, [](V v, S& s) { return TakeNumber(v, s.pid); }},
    {"PPid", true, [](V v, S& s) { return TakeNumber(v, s.ppid); }},
    {"TracerPid", true, [](V v, S& s) { return TakeNumber(v, s.tracer_pid); }},
    {"Uid", true, [](V v, S& s) { return TakeIds(v, s.uid); }},
    {"Gid", true, [](V v, S& s) { return TakeIds(v, s.gid); }},
    {"Groups", true, [](V v, S& s) { return TakeList(v, s.groups); }},
    {"NSpid", false, [](V v, S& s) { return TakeList(v, s.ns_pids); }},
    {"Kthread", false, [](V v, S& s) { return TakeBool(v, s.kernel_thread.emplace()); }},
    {"VmRSS", false, [](V v, S& s) { return TakeKib(v, s.resident); }},
    {"RssAnon", false, [](V v, S& s) { return TakeKib(v, s.anonymous); }},
    {"RssFile", false, [](V v, S& s) { return TakeKib(v, s.resident_files); }},
    {"RssShmem", false, [](V v, S& s) { return TakeKib(v, s.resident_shared); }},
    {"VmPTE", false, [](V v, S& s) { return TakeKib(v, s.page_tables); }},
    {"VmSwap", false, [](V v, S& s) { return TakeKib(v, s.swapped); }},
    {"Threads", true, [](V v, S& s) { return TakeNumber(v, s.threads); }},
    {"SigPnd", true, [](V v, S& s) { return TakeNumber(v, s.pending, 16); }},
    {"ShdPnd", true, [](V v, S& s) { return TakeNumber(v, s.shared_pending, 16); }},
    {"SigBlk", true, [](V v, S& s) { return TakeNumber(v, s.blocked, 16); }},
    {"SigIgn", true, [](V v, S& s) { return TakeNumber(v, s.ignored, 16); }},
    {"SigCgt", true, [](V v, S& s) { return TakeNumber(v, s.caught, 16); }},
    {"CapInh", true, [](V v, S& s) { return TakeNumber(v, s.cap_inheritable, 16); }},
    {"CapPrm", true, [](V v, S& s) { return TakeNumber(v, s.cap_permitted, 16); }},
    {"CapEff", true, [](V v, S& s) { return TakeNumber(v, s.cap_effective, 16); }},
    {"CapBnd", true, [](V v, S& s) { return TakeNumber(v, s.cap_bounding, 16); }},
    {"CapAmb", false, [](V v, S& s) { return TakeNumber(v, s.cap_ambient, 16); }},
    {"NoNewPrivs", false, [](V v, S& s) { return TakeBool(v, s.no_new_privs); }},
    {"Seccomp", false, [](V v, S& s) { return TakeNumber(v, s.seccomp_mode); }},
    {"Seccomp_filters", false, [](V v, S& s) { return TakeNumber(v, s.seccomp_filters); }},
    {"x86_Thread_features", false,
     [](V v, S& s) {
       s.shadow_stack = HasWord(v, "shstk");
       return true;
     }},
};

}  // namespace

absl::StatusOr<TaskStatus> ParseStatus(std::string_view text) {
  TaskStatus status;
  std::bitset<std::size(kFields)> seen;
  // Kernels have them in this order.
  size_t next = 0;
  while (!text.empty()) {
    const std::string_view line = TakeUntil(text, '\n');
    std::string_view value = line;
    const std::string_view key = TakeUntil(value, ':');
    for (size_t n = 0; n < std::size(kFields); ++n) {
      const size_t i = (next + n) % std::size(kFields);
      if (key != kFields[i].key) continue;
      next = i + 1;
      // The name alone may begin or end with blanks; one tab comes before it.
      const bool is_name = i == 0;
      if (is_name && value.starts_with('\t')) value.remove_prefix(1);
      if (seen.test(i) || !kFields[i].take(is_name ? value : Strip(value), status)) {
        return MalformedText("status", key, line);
      }
      seen.set(i);
      break;
    }
  }
  for (size_t i = 0; i < std::size(kFields); ++i) {
    if (kFields[i].required && !seen.test(i)) {
      return absl::DataLossError(absl::StrCat("status: no field ", std::string(kFields[i].key)));
    }
  }
  return status;
}

std::string_view StatusValue(std::string_view text, std::string_view key) {
  for (size_t at = 0; (at = text.find(key, at)) != text.npos; at += key.size()) {
    std::string_view line = text.substr(at + key.size());
    const bool is_key = (at == 0 || text[at - 1] == '\n') && line.starts_with(":\t");
    if (is_key) return line.substr(2, line.find('\n') - 2);
  }
  return {};
}

absl::StatusOr<std::string> TaskName(const TaskStatus& status) {
  std::string name;
  std::string_view rest = status.name;
  while (!rest.empty()) {
    const bool escaped = rest.front() == '\\';
    const char last = rest.size() > 1 ? rest[1] : '\0';
    if (escaped && last != 'n' && last != '\\') return MalformedText("status", "Name", status.name);
    name.push_back(!escaped ? rest.front() : last == 'n' ? '\n' : '\\');
    rest.remove_prefix(escaped ? 2 : 1);
  }
  return name;
}

}  // namespace dumpctl
