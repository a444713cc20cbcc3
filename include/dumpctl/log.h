#ifndef DUMPCTL_LOG_H_
#define DUMPCTL_LOG_H_

#include <string>

namespace dumpctl {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Where a dump tells what it does, a line each. Who has one need not know what writes it.
class Log {
 public:
  Log() = default;
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  virtual ~Log() = default;

  virtual void Write(LogLevel level, const std::string& text) = 0;

  void Debug(const std::string& text) { Write(LogLevel::kDebug, text); }
  void Info(const std::string& text) { Write(LogLevel::kInfo, text); }
  void Warn(const std::string& text) { Write(LogLevel::kWarning, text); }
  void Error(const std::string& text) { Write(LogLevel::kError, text); }
};

}  // namespace dumpctl

#endif  // DUMPCTL_LOG_H_
