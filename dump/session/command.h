#ifndef DUMP_SESSION_COMMAND_H_
#define DUMP_SESSION_COMMAND_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// Another program to be run, with all that running it takes already at hand.
class Command {
 public:
  // `arguments`: the program's name first, which is looked for along PATH and where administrators
  // have theirs. `input`: what it reads. Errors: NotFound when there is no such program.
  static absl::StatusOr<Command> Prepare(std::vector<std::string> arguments,
                                         const std::string& input);

  // Errors: what the program says on stderr, when it fails.
  absl::Status Run() const;

  // Runs it to its end, or to that of the calling thread; its stderr goes to `errors`. The wait(2)
  // status, or -1. Makes nothing but system calls.
  int Execute(int errors) const;

  const std::string& name() const { return arguments_.front(); }

 private:
  std::vector<std::string> arguments_;
  std::vector<char*> pointers_;  // to them, and a null behind
  std::string path_;
  UniqueFd input_;
  UniqueFd null_;
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_COMMAND_H_
