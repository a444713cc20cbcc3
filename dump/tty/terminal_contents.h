#ifndef DUMP_TTY_TERMINAL_CONTENTS_H_
#define DUMP_TTY_TERMINAL_CONTENTS_H_

#include <asm/termbits.h>

#include <optional>
#include <string>
#include <variant>

#include "dumpctl/resource_refusal.h"
#include "proc/bpf_terminal_queues.h"

namespace dumpctl {

// What a restore writes at one end of a pseudo-terminal, when its settings are made, so that the
// other end finds what it had found before.
struct TerminalContents {
  std::string output;  // written first, at the slave
  std::string input;   // at the master
};

// From what waits at the master and at the slave. Or why no writing brings that about: the slave
// changes what comes and goes (termios(3)), and echoes it. Pure.
std::variant<TerminalContents, WhyNotText> ContentsOf(const TerminalQueue& at_master,
                                                      const TerminalQueue& at_slave,
                                                      const termios2& settings);

}  // namespace dumpctl

#endif  // DUMP_TTY_TERMINAL_CONTENTS_H_
