#include "dump/cli/dump_log.h"

#include <fcntl.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/cli/verbosity.h"
#include "dumpctl/failure.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {
namespace {

// "00.054937": seconds and microseconds since the log was opened.
class ElapsedFlag final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const auto elapsed =
        std::chrono::duration_cast<std::chrono::microseconds>(message.time - begun_).count();
    fmt::format_to(std::back_inserter(out), "{:02}.{:06}", elapsed / 1'000'000,
                   elapsed % 1'000'000);
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<ElapsedFlag>(*this);
  }

 private:
  spdlog::log_clock::time_point begun_ = spdlog::log_clock::now();
};

// Warnings and errors say so; the rest is just text.
class SeverityFlag final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    std::string_view prefix;
    if (message.level == spdlog::level::warn) prefix = "Warn: ";
    if (message.level >= spdlog::level::err) prefix = "Error: ";
    out.append(prefix.data(), prefix.data() + prefix.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<SeverityFlag>();
  }
};

absl::Status Truncate(const std::string& path) {
  // spdlog throws where it cannot open a file; this says why, without.
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (file) return absl::OkStatus();
  return MakeFailure(Failure::kImagesDir, absl::ErrnoToStatusCode(errno),
                     absl::StrCat("log file ", path, ": ", std::strerror(errno),
                                  "; choose another (-o) or another directory (-W)"));
}

}  // namespace

absl::StatusOr<std::shared_ptr<spdlog::logger>> OpenLog(const std::string& path, int verbosity) {
  spdlog::sink_ptr sink;
  if (path.empty()) {
    sink = std::make_shared<spdlog::sinks::stderr_sink_st>();
  } else {
    if (absl::Status status = Truncate(path); !status.ok()) return status;
    sink = std::make_shared<spdlog::sinks::basic_file_sink_st>(path);
  }
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<ElapsedFlag>('*').add_flag<SeverityFlag>('!').set_pattern("(%*) %!%v");
  auto log = std::make_shared<spdlog::logger>("dumpctl", std::move(sink));
  log->set_formatter(std::move(formatter));
  log->set_level(LevelOf(verbosity));
  // Each line at once: what a dump has told before it hung or was killed is what one looks for.
  log->flush_on(spdlog::level::trace);
  return log;
}

}  // namespace dumpctl
