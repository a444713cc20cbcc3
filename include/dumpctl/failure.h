#ifndef DUMPCTL_FAILURE_H_
#define DUMPCTL_FAILURE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace dumpctl {

// The ways a command can fail that a script may want to tell apart. The value is the exit code and
// part of the interface (dumpctl(1), EXIT STATUS): never renumber.
enum class Failure : int {
  kInternal = 1,        // anything not named below
  kUsage = 2,           // bad command line, or an option this build does not serve
  kNoSuchTask = 3,      // no process with that pid
  kNotALeader = 4,      // the pid is a thread's
  kKernelThread = 5,    // a kernel thread has no memory to dump
  kInit = 6,            // pid 1 of the host
  kSelfOrAncestor = 7,  // dumpctl itself or one of its ancestors
  kZombie = 8,          // nothing is left of it but its exit status
  kAlreadyTraced = 9,   // somebody else traces it
  kForeignAbi = 10,     // a 32-bit or x32 task
  kPermission = 11,     // a capability is missing
  kImagesDir = 12,      // images or work directory missing, not a directory, or not writable
  kNoSpace = 13,        // the disk filled up while images were written
  kTargetDied = 14,     // the target was killed by somebody else during the dump
  kTimeout = 15,        // the tree could not be frozen within --timeout
  kRefused = 16,        // the tree holds resources that cannot be dumped
  kHost = 17,           // the kernel lacks something a dump needs
  kBadImage = 18,       // an image could not be parsed (show)
  kInterrupted = 19,    // a signal asked to end before the images stood
  kUnfinished = 20,     // the dump is whole, but not all that was to follow could be done
  kConfig = 21,         // a configuration file is bad
  kScript = 22,         // an action script failed
  kPeer = 23,           // who was to take the images has ended
};

inline constexpr std::string_view kFailurePayload = "dumpctl/failure";

// A status that carries its exit code. The absl code says the kind, `failure` the exact case.
inline absl::Status MakeFailure(Failure failure, absl::StatusCode code, std::string_view message) {
  absl::Status status(code, absl::string_view(message.data(), message.size()));
  status.SetPayload(absl::string_view(kFailurePayload.data(), kFailurePayload.size()),
                    absl::Cord(absl::StrCat(static_cast<int>(failure))));
  return status;
}

// The exit code of a failed command; kInternal when nothing more exact is attached.
inline Failure FailureOf(const absl::Status& status) {
  const auto payload =
      status.GetPayload(absl::string_view(kFailurePayload.data(), kFailurePayload.size()));
  int value = 0;
  if (payload && absl::SimpleAtoi(std::string(*payload), &value)) return Failure{value};
  return Failure::kInternal;
}

}  // namespace dumpctl

#endif  // DUMPCTL_FAILURE_H_
