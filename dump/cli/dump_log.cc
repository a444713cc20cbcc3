#include "dump/cli/dump_log.h"

#include <fcntl.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
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

// By the numbers of --verbosity.
spdlog::level::level_enum LevelOf(int verbosity) {
  switch (verbosity) {
    case 0:
      return spdlog::level::off;
    case 1:
      return spdlog::level::err;
    case 2:
      return spdlog::level::warn;
    case 3:
      return spdlog::level::info;
    default:
      return spdlog::level::debug;
  }
}

absl::Status Truncate(const std::string& path) {
  // spdlog throws where it cannot open a file; this says why, without.
  const UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (file) return absl::OkStatus();
  return MakeFailure(Failure::kImagesDir, absl::ErrnoToStatusCode(errno),
                     absl::StrCat("log file ", path, ": ", std::strerror(errno),
                                  "; choose another (-o) or another directory (-W)"));
}

class SpdLog final : public Log {
 public:
  SpdLog(spdlog::sink_ptr sink, int verbosity) : logger_("dumpctl", std::move(sink)) {
    auto formatter = std::make_unique<spdlog::pattern_formatter>();
    formatter->add_flag<ElapsedFlag>('*').add_flag<SeverityFlag>('!').set_pattern("(%*) %!%v");
    logger_.set_formatter(std::move(formatter));
    logger_.set_level(LevelOf(verbosity));
    // Each line at once: what a dump has told before it hung or was killed is what one looks for.
    logger_.flush_on(spdlog::level::trace);
  }

  void Write(LogLevel level, const std::string& text) override {
    switch (level) {
      case LogLevel::kDebug:
        return logger_.debug(text);
      case LogLevel::kInfo:
        return logger_.info(text);
      case LogLevel::kWarning:
        return logger_.warn(text);
      case LogLevel::kError:
        return logger_.error(text);
    }
  }

 private:
  spdlog::logger logger_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Log>> OpenLog(const std::string& path, int verbosity) {
  spdlog::sink_ptr sink;
  if (path.empty()) {
    sink = std::make_shared<spdlog::sinks::stderr_sink_st>();
  } else {
    if (absl::Status status = Truncate(path); !status.ok()) return status;
    sink = std::make_shared<spdlog::sinks::basic_file_sink_st>(path);
  }
  return std::make_unique<SpdLog>(std::move(sink), verbosity);
}

}  // namespace dumpctl
