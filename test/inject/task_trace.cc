#include "test/inject/task_trace.h"

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <system_error>
#include <vector>

namespace dumpctl {
namespace {

std::string Slurp(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> Names(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    names.push_back(entry.path().filename());
  }
  return names;
}

// The first line that is in one text only.
std::string DifferentLine(const std::string& before, const std::string& after) {
  const auto lines = [](const std::string& text) {
    std::set<std::string> set;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) set.insert(line);
    return set;
  };
  const std::set<std::string> was = lines(before), is = lines(after);
  for (const std::string& line : is) {
    if (!was.contains(line)) return "now has \"" + line + "\"";
  }
  for (const std::string& line : was) {
    if (!is.contains(line)) return "has lost \"" + line + "\"";
  }
  return "has other lines twice";
}

}  // namespace

std::string StatusField(const std::string& directory, const std::string& field) {
  std::ifstream file(directory + "/status");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(field + ":")) continue;
    const size_t value = line.find_first_not_of("\t ", field.size() + 1);
    return value == line.npos ? "" : line.substr(value);
  }
  return "(gone)";
}

std::map<std::string, std::string> TracesOf(pid_t pid) {
  const std::string directory = "/proc/" + std::to_string(pid);
  std::map<std::string, std::string> traces;
  traces["maps"] = Slurp(directory + "/maps");
  for (const std::string& fd : Names(directory + "/fd")) {
    std::error_code error;
    traces["fd " + fd] = std::filesystem::read_symlink(directory + "/fd/" + fd, error).string();
  }
  for (const char* field : {"SigIgn", "SigCgt", "ShdPnd", "Seccomp", "NoNewPrivs", "Groups"}) {
    traces[field] = StatusField(directory, field);
  }
  for (const std::string& tid : Names(directory + "/task")) {
    const std::string thread = directory + "/task/" + tid;
    for (const char* field : {"SigBlk", "Cpus_allowed", "Uid", "CapEff"}) {
      traces["thread " + tid + ": " + field] = StatusField(thread, field);
    }
    // Among them zombies.
    traces["thread " + tid + ": children"] = Slurp(thread + "/children");
  }
  return traces;
}

std::string Difference(const std::map<std::string, std::string>& before,
                       const std::map<std::string, std::string>& after) {
  for (const auto& [name, value] : after) {
    const auto was = before.find(name);
    if (was == before.end()) return name + " is new: " + value;
    if (was->second == value) continue;
    if (name == "maps") return name + " " + DifferentLine(was->second, value);
    return name + " was \"" + was->second + "\" and is \"" + value + "\"";
  }
  for (const auto& [name, value] : before) {
    if (!after.contains(name)) return name + " is gone: " + value;
  }
  return "";
}

std::string HeldThreads(pid_t pid) {
  const std::string directory = "/proc/" + std::to_string(pid) + "/task";
  for (const std::string& tid : Names(directory)) {
    const std::string thread = directory + "/" + tid;
    const std::string tracer = StatusField(thread, "TracerPid");
    if (tracer != "0") return "thread " + tid + " is traced by " + tracer;
    const std::string state = StatusField(thread, "State");
    if (state.starts_with("T") || state.starts_with("t") || state.starts_with("Z") ||
        state.starts_with("X")) {
      return "thread " + tid + " is " + state;
    }
  }
  return "";
}

bool StandsInVdso(pid_t pid) {
  const std::string directory = "/proc/" + std::to_string(pid);
  uint64_t start = 0;
  uint64_t end = 0;
  std::ifstream maps(directory + "/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.ends_with("[vdso]")) sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64, &start, &end);
  }
  for (const std::string& tid : Names(directory + "/task")) {
    // The last number is the program counter; "running" has none.
    const std::string text = Slurp(directory + "/task/" + tid + "/syscall");
    const size_t last = text.rfind(' ');
    if (last == text.npos) continue;
    const uint64_t counter = strtoull(text.c_str() + last, nullptr, 16);
    if (counter >= start && counter < end) return true;
  }
  return false;
}

}  // namespace dumpctl
