#include "dump/tty/terminal_refusal.h"

#include <sys/sysmacros.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "absl/strings/str_cat.h"

namespace dumpctl {
namespace {

std::string ExternalOption(const TerminalFacts& terminal) {
  return absl::StrCat("--external tty[", absl::Hex(terminal.stat.st_rdev), ":",
                      absl::Hex(terminal.stat.st_dev), "]");
}

// What lets a restore give the tree another terminal.
std::string GiveIt(const TerminalFacts& terminal) {
  return absl::StrCat("add ", ExternalOption(terminal),
                      " and hand a terminal to the restore (--inherit-fd)");
}

bool IsPseudo(const TerminalFacts& terminal) {
  return terminal.kind == TerminalKind::kMaster || terminal.kind == TerminalKind::kSlave;
}

// What a pseudo-terminal is made with.
constexpr termios kFirstSettings = {
    .c_iflag = ICRNL | IXON,
    .c_oflag = OPOST | ONLCR,
    .c_cflag = B38400 | CS8 | CREAD,
    .c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
    .c_line = N_TTY,
    .c_cc = {3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0}};

bool LocksAny(const termios& locks) {
  return (locks.c_iflag | locks.c_oflag | locks.c_cflag | locks.c_lflag | locks.c_line) != 0 ||
         std::any_of(std::begin(locks.c_cc), std::end(locks.c_cc),
                     [](cc_t key) { return key != 0; });
}

// Whether what is locked is another than at first.
bool LocksOther(const TerminalFacts& terminal) {
  const termios& locks = terminal.locked_settings;
  const termios2& now = terminal.settings;
  const tcflag_t others = (locks.c_iflag & (now.c_iflag ^ kFirstSettings.c_iflag)) |
                          (locks.c_oflag & (now.c_oflag ^ kFirstSettings.c_oflag)) |
                          (locks.c_cflag & (now.c_cflag ^ kFirstSettings.c_cflag)) |
                          (locks.c_lflag & (now.c_lflag ^ kFirstSettings.c_lflag));
  if (others != 0) return true;
  for (size_t i = 0; i < std::size(locks.c_cc); ++i) {
    if (locks.c_cc[i] != 0 && now.c_cc[i] != kFirstSettings.c_cc[i]) return true;
  }
  return false;
}

bool Waits(const TerminalFacts& terminal) {
  return terminal.readable ||
         (terminal.queue && (!terminal.queue->bytes.empty() || terminal.queue->more));
}

std::string Waiting(const TerminalFacts& terminal) {
  // The end of a file waits without a byte.
  if (terminal.bytes == 0) return "something waits";
  return absl::StrCat(terminal.bytes, terminal.bytes == 1 ? " byte waits" : " bytes wait");
}

// Takes the digits that `text` begins with.
std::optional<uint64_t> TakeHex(std::string_view& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return value;
}

bool Take(std::string_view expected, std::string_view& text) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(expected.size());
  return true;
}

}  // namespace

std::optional<ExternalTerminal> ParseExternalTerminal(std::string_view text) {
  if (!Take("tty[", text)) return std::nullopt;
  const std::optional<uint64_t> rdev = TakeHex(text);
  if (!rdev || !Take(":", text)) return std::nullopt;
  const std::optional<uint64_t> dev = TakeHex(text);
  if (!dev || text != "]") return std::nullopt;
  return ExternalTerminal{*rdev, *dev};
}

TerminalScene::TerminalScene(std::span<const TerminalFacts> terminals,
                             std::span<const TaskStat> tree, const TerminalOptions& options)
    : tree_(tree), options_(options) {
  for (const TaskStat& task : tree) {
    if (task.session == task.pid) leaders_.insert(task.pid);
    if (task.tty_nr == 0) continue;
    controls_[static_cast<uint32_t>(task.tty_nr)] = {task.session, std::max(task.tpgid, 0)};
  }
  for (const TerminalFacts& terminal : terminals) {
    if (terminal.hung_up) continue;
    devices_.insert(terminal.device);
    if (IsExternal(terminal)) continue;
    if (terminal.kind == TerminalKind::kMaster) masters_.insert(terminal.number);
    if (terminal.session != 0) controls_[terminal.device] = {terminal.session, terminal.group};
  }
  for (const TerminalFacts& terminal : terminals) {
    if (terminal.kind != TerminalKind::kSlave || terminal.hung_up || IsExternal(terminal)) continue;
    living_.insert(terminal.number);
    if (!masters_.contains(terminal.number)) unpaired_.insert(terminal.number);
  }
  living_.insert(masters_.begin(), masters_.end());
  LearnContents(terminals);
}

void TerminalScene::LearnContents(std::span<const TerminalFacts> terminals) {
  std::map<uint32_t, const TerminalFacts*> masters;
  for (const TerminalFacts& terminal : terminals) {
    if (terminal.kind != TerminalKind::kMaster || !terminal.queue) continue;
    masters[terminal.number] = &terminal;
  }
  for (const TerminalFacts& terminal : terminals) {
    if (terminal.kind != TerminalKind::kSlave || !terminal.queue || IsExternal(terminal)) continue;
    const auto master = masters.find(terminal.number);
    if (master == masters.end() || contents_.contains(terminal.number)) continue;
    contents_.emplace(terminal.number, dumpctl::ContentsOf(*master->second->queue, *terminal.queue,
                                                           terminal.settings));
  }
}

const TerminalContents* TerminalScene::ContentsOf(uint32_t number) const {
  const auto contents = contents_.find(number);
  return contents == contents_.end() ? nullptr : std::get_if<TerminalContents>(&contents->second);
}

pid_t TerminalScene::SessionOf(const TerminalFacts& terminal) const {
  const auto control = controls_.find(terminal.device);
  return control == controls_.end() ? 0 : control->second.session;
}

pid_t TerminalScene::GroupOf(const TerminalFacts& terminal) const {
  const auto control = controls_.find(terminal.device);
  return control == controls_.end() ? 0 : control->second.group;
}

bool TerminalScene::IsExternal(const TerminalFacts& terminal) const {
  return std::any_of(
      options_.external.begin(), options_.external.end(), [&](const ExternalTerminal& external) {
        return external.rdev == terminal.stat.st_rdev && external.dev == terminal.stat.st_dev;
      });
}

std::optional<WhyNotText> TerminalScene::WhyNot(const TerminalFacts& terminal) const {
  if (IsExternal(terminal)) return std::nullopt;
  if (terminal.kind == TerminalKind::kOther) {
    return WhyNotText{
        "of terminals only pseudo-terminals, virtual consoles, /dev/console and /dev/tty come back",
        GiveIt(terminal)};
  }
  if (IsPseudo(terminal) && terminal.number > kLastPseudoTerminal) {
    return WhyNotText{absl::StrCat("a restore takes no pseudo-terminal with a number beyond ",
                                   kLastPseudoTerminal),
                      "close others first, and open it anew"};
  }
  if (terminal.hung_up) return WhyNotHungUp(terminal);
  std::optional<WhyNotText> why_not;
  if (terminal.kind == TerminalKind::kSlave && unpaired_.contains(terminal.number)) {
    return WhyNotUnpaired(terminal);
  }
  if (terminal.kind == TerminalKind::kControlling) return WhyNotControlling(terminal);
  // What both ends have is said of the master.
  if (terminal.kind != TerminalKind::kSlave) {
    why_not = WhyNotControl(terminal);
    if (!why_not) why_not = WhyNotSettings(terminal);
  }
  return why_not ? why_not : WhyNotEnd(terminal);
}

std::optional<WhyNotText> TerminalScene::WhyNotHungUp(const TerminalFacts& terminal) const {
  if (terminal.kind == TerminalKind::kSlave && !living_.contains(terminal.number)) {
    return std::nullopt;
  }
  return WhyNotText{"it is hung up, and a restore would open it again", "let the program close it"};
}

std::optional<WhyNotText> TerminalScene::WhyNotUnpaired(const TerminalFacts& slave) const {
  const pid_t session = SessionOf(slave);
  if (Leads(session)) {
    return WhyNotText{
        absl::StrCat("it controls session ", session, ", and its other end is no part of the dump"),
        GiveIt(slave)};
  }
  if (!options_.shell_job) {
    return WhyNotText{
        "its other end is no part of the dump",
        absl::StrCat("add --shell-job (-j): a restore then takes the terminal that it is run "
                     "from; or ",
                     GiveIt(slave))};
  }
  if (unpaired_.size() > 1) {
    return WhyNotText{
        absl::StrCat("the other ends of ", unpaired_.size(),
                     " terminals are no part of the dump, and a restore is run from only one"),
        GiveIt(slave)};
  }
  const pid_t group = GroupOf(slave);
  const TaskStat& root = tree_.front();
  if (slave.read && group != root.pgrp && HasMembers(session, group)) {
    return WhyNotText{
        absl::StrCat("process group ", group, " is in its foreground, and a restore would put ",
                     root.pgrp, ", that of process ", root.pid, ", there"),
        "put what is in the foreground into the background (^Z, bg), or dump that alone"};
  }
  return std::nullopt;
}

bool TerminalScene::HasMembers(pid_t session, pid_t group) const {
  return std::any_of(tree_.begin(), tree_.end(), [&](const TaskStat& task) {
    return task.session == session && task.pgrp == group;
  });
}

std::optional<WhyNotText> TerminalScene::WhyNotControlling(const TerminalFacts& terminal) const {
  if (!terminal.read) return std::nullopt;
  const pid_t session = SessionOf(terminal);
  if (Leads(session) && terminal.opener == session) return WhyNotEnd(terminal);
  // In the session of who restores all are controlled by its terminal from the beginning.
  const bool stays = !Leads(session) && options_.shell_job &&
                     std::any_of(tree_.begin(), tree_.end(), [&](const TaskStat& task) {
                       return task.pid == terminal.opener && task.session == session;
                     });
  if (stays) return std::nullopt;
  return WhyNotText{"only leaders of sessions have a terminal again when a restore opens it",
                    "let the program close it, or open the terminal by its name"};
}

std::optional<WhyNotText> TerminalScene::WhyNotControl(const TerminalFacts& terminal) const {
  const pid_t session = SessionOf(terminal);
  if (session == 0) {
    if (!terminal.slave_closed) return std::nullopt;
    return WhyNotText{"all have closed its other end, and a restore would not tell so",
                      "dump it when the program has noticed"};
  }
  if (!Leads(session)) {
    return WhyNotText{
        absl::StrCat("it controls session ", session, ", whose leader is no part of the dump"),
        "dump a tree that the leader is in"};
  }
  // Groups come and go as long as the tasks run.
  if (!terminal.read) return std::nullopt;
  const pid_t group = GroupOf(terminal);
  if (HasMembers(session, group)) return std::nullopt;
  return WhyNotText{absl::StrCat("nobody is left of the process group in its foreground, ", group),
                    absl::StrCat("dump it when process ", session,
                                 " has taken its terminal back from what has ended")};
}

std::optional<WhyNotText> TerminalScene::WhyNotSettings(const TerminalFacts& terminal) const {
  if (LocksAny(terminal.locked_settings) && (!IsPseudo(terminal) || LocksOther(terminal))) {
    return WhyNotText{
        "a restore locks its settings (TIOCSLCKTRMIOS) before it makes them what they are",
        "let the program unlock them"};
  }
  // Virtual consoles and the console are there without the dump, and keep what follows.
  if (!IsPseudo(terminal)) return std::nullopt;
  if (terminal.settings.c_line != N_TTY) {
    return WhyNotText{
        absl::StrCat("a restore would not set its line discipline, ", terminal.settings.c_line),
        "end the program that has set it"};
  }
  if ((terminal.settings.c_cflag & CBAUD) == BOTHER) {
    return WhyNotText{absl::StrCat("a restore would not set its speed, ",
                                   terminal.settings.c_ospeed, " (BOTHER)"),
                      "set one that has a name: stty 38400"};
  }
  return std::nullopt;
}

std::optional<WhyNotText> TerminalScene::WhyNotEnd(const TerminalFacts& terminal) const {
  if (terminal.exclusive) {
    return WhyNotText{"a restore would not keep others from opening it (TIOCEXCL)",
                      "let the program end that (TIOCNXCL)"};
  }
  if (!IsPseudo(terminal) && terminal.kind != TerminalKind::kControlling) return std::nullopt;
  if (const auto contents = contents_.find(terminal.number); contents != contents_.end()) {
    const auto* why_not = std::get_if<WhyNotText>(&contents->second);
    if (why_not != nullptr && terminal.kind == TerminalKind::kMaster) return *why_not;
  } else if (Waits(terminal)) {
    return WhyNotText{absl::StrCat(Waiting(terminal), " there to be read, which ",
                                   terminal.queue ? "comes back only where both ends are open"
                                                  : "cannot be looked at without taking it away"),
                      "dump it when its reader has caught up"};
  }
  if (terminal.packet_status) {
    return WhyNotText{"its reader has not been told yet what has happened there (TIOCPKT)",
                      "dump it when its reader has caught up"};
  }
  return std::nullopt;
}

ResourceRefusals TerminalScene::RefuseLeaders() const {
  ResourceRefusals refusals;
  for (const TaskStat& task : tree_) {
    const auto device = static_cast<uint32_t>(task.tty_nr);
    if (task.session != task.pid || device == 0 || devices_.contains(device)) continue;
    refusals.push_back({task.pid, absl::StrCat("session ", task.session),
                        absl::StrCat("nobody has the terminal open that controls it (device ",
                                     absl::Hex(device), "), so that a restore would not find it"),
                        "start the program without a terminal: setsid PROGRAM </dev/null"});
  }
  return refusals;
}

}  // namespace dumpctl
