#ifndef TEST_INJECT_BUSY_PROGRAM_H_
#define TEST_INJECT_BUSY_PROGRAM_H_

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "test/inject/busy_state.h"

namespace dumpctl {

// A running busy_target, and the eye on it. Killed at the end.
class BusyProgram {
 public:
  // Runs `program` and waits until all of its threads are at work.
  BusyProgram(const std::string& program, const std::string& state_file, int mebibytes);
  ~BusyProgram();
  BusyProgram(const BusyProgram&) = delete;
  BusyProgram& operator=(const BusyProgram&) = delete;

  pid_t pid() const { return pid_; }

  // What is wrong with it, in words; empty when within `patience` every thread gets on with its
  // work, none is held, nothing has failed, and all that a dump could leave a trace in is as it was
  // at the beginning.
  std::string Complaint(std::chrono::milliseconds patience);
  // The same of the poll that blocks all the time: ends it. To be asked last.
  std::string WakeComplaint(std::chrono::milliseconds patience);

 private:
  // Waits until `done`; false after `patience`.
  bool Wait(std::chrono::milliseconds patience, const std::function<bool()>& done) const;
  std::string Failure() const;
  // The worker that has not counted on from `before`; none when all have.
  std::optional<Worker> Idle(const uint64_t (&before)[kWorkers]) const;
  std::string PollComplaint() const;
  std::string TraceComplaint(std::chrono::milliseconds patience);

  pid_t pid_ = 0;
  BusyState* state_ = nullptr;
  std::map<std::string, std::string> traces_;
};

}  // namespace dumpctl

#endif  // TEST_INJECT_BUSY_PROGRAM_H_
