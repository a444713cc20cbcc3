#ifndef DUMP_TTY_TERMINAL_REFUSAL_H_
#define DUMP_TTY_TERMINAL_REFUSAL_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "dump/tty/terminal.h"
#include "dump/tty/terminal_contents.h"
#include "dumpctl/resource_refusal.h"
#include "proc/stat_parser.h"

namespace dumpctl {

// No restore by stock criu takes one with a greater number.
inline constexpr uint32_t kLastPseudoTerminal = 1001;

// --external tty[RDEV:DEV]: a terminal that a restore is given by --inherit-fd.
struct ExternalTerminal {
  uint64_t rdev = 0;  // of its file, as stat(2) has them
  uint64_t dev = 0;
};

struct TerminalOptions {
  bool shell_job = false;
  std::vector<ExternalTerminal> external;
};

// Of "tty[RDEV:DEV]", both hexadecimal; none when it is something else.
std::optional<ExternalTerminal> ParseExternalTerminal(std::string_view text);

// All terminals of a tree, and which sessions they control. Pure.
class TerminalScene {
 public:
  // `tree`: the tasks that are alive, the root first.
  TerminalScene(std::span<const TerminalFacts> terminals, std::span<const TaskStat> tree,
                const TerminalOptions& options);

  // The session that a terminal controls, and its foreground group; 0 when it is none that we know.
  pid_t SessionOf(const TerminalFacts& terminal) const;
  pid_t GroupOf(const TerminalFacts& terminal) const;

  bool IsExternal(const TerminalFacts& terminal) const;

  // Why a restore could not bring a terminal back.
  std::optional<WhyNotText> WhyNot(const TerminalFacts& terminal) const;

  // What waits at both ends of a pseudo-terminal; null where nothing is known of it, or nothing can
  // bring it back.
  const TerminalContents* ContentsOf(uint32_t number) const;

  // Leaders of sessions that a restore would leave without the terminal that controls them.
  ResourceRefusals RefuseLeaders() const;

 private:
  struct Control {
    pid_t session = 0;
    pid_t group = 0;
  };

  std::optional<WhyNotText> WhyNotControl(const TerminalFacts& terminal) const;
  void LearnContents(std::span<const TerminalFacts> terminals);
  std::optional<WhyNotText> WhyNotHungUp(const TerminalFacts& terminal) const;
  std::optional<WhyNotText> WhyNotUnpaired(const TerminalFacts& slave) const;
  std::optional<WhyNotText> WhyNotControlling(const TerminalFacts& terminal) const;
  std::optional<WhyNotText> WhyNotSettings(const TerminalFacts& terminal) const;
  std::optional<WhyNotText> WhyNotEnd(const TerminalFacts& terminal) const;

  bool HasMembers(pid_t session, pid_t group) const;
  bool Leads(pid_t session) const { return leaders_.contains(session); }

  std::span<const TaskStat> tree_;
  const TerminalOptions& options_;
  std::set<uint32_t> masters_;   // numbers of pseudo-terminals
  std::set<uint32_t> living_;    // of those of which an end is there that is not hung up
  std::set<uint32_t> unpaired_;  // of slaves alone
  std::set<uint32_t> devices_;   // that something is open of
  std::set<pid_t> leaders_;
  std::map<uint32_t, std::variant<TerminalContents, WhyNotText>> contents_;  // by number
  std::map<uint32_t, Control> controls_;                                     // by device
};

}  // namespace dumpctl

#endif  // DUMP_TTY_TERMINAL_REFUSAL_H_
