#ifndef TEST_CLI_PROGRAM_H_
#define TEST_CLI_PROGRAM_H_

#include <functional>
#include <string>
#include <vector>

namespace dumpctl {

// What a run of the built dumpctl said.
struct ProgramRun {
  int exit_code = -1;  // 128 and the signal's number when a signal ended it
  std::string out;
  std::string err;
};

// Runs dumpctl with `arguments` and waits for its end. `before` runs in the child, before exec.
ProgramRun RunDumpctl(const std::vector<std::string>& arguments,
                      const std::function<void()>& before = {});

}  // namespace dumpctl

#endif  // TEST_CLI_PROGRAM_H_
