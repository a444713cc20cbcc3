#include "dump/tty/terminal_images.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

namespace dumpctl {
namespace {

// Restores know pseudo-terminals by twice their number, and one for a master, and end in a fault
// when a terminal has a number beyond the last.
constexpr uint32_t kFirstOther = 2 * (kLastPseudoTerminal + 1);
constexpr uint32_t kLastOther = 2047;

void FillSettings(const termios& settings, image::termios_entry* entry) {
  entry->set_c_iflag(settings.c_iflag);
  entry->set_c_oflag(settings.c_oflag);
  entry->set_c_cflag(settings.c_cflag);
  entry->set_c_lflag(settings.c_lflag);
  entry->set_c_line(settings.c_line);
  // Speeds that have names stand in c_cflag.
  entry->set_c_ispeed(0);
  entry->set_c_ospeed(0);
  // A restore wants one number for each key, and takes the numbers for the bytes of all of them.
  uint32_t keys[sizeof termios::c_cc] = {};
  std::memcpy(keys, settings.c_cc, sizeof settings.c_cc);
  for (const uint32_t word : keys) entry->add_c_cc(word);
}

termios Named(const termios2& settings) {
  termios named = {.c_iflag = settings.c_iflag,
                   .c_oflag = settings.c_oflag,
                   .c_cflag = settings.c_cflag,
                   .c_lflag = settings.c_lflag,
                   .c_line = settings.c_line,
                   .c_cc = {}};
  std::copy(std::begin(settings.c_cc), std::end(settings.c_cc), std::begin(named.c_cc));
  return named;
}

void FillState(const TerminalFacts& terminal, image::tty_info_entry& info) {
  FillSettings(Named(terminal.settings), info.mutable_termios());
  FillSettings(terminal.locked_settings, info.mutable_termios_locked());
  image::winsize_entry* size = info.mutable_winsize();
  size->set_ws_row(terminal.size.ws_row);
  size->set_ws_col(terminal.size.ws_col);
  size->set_ws_xpixel(terminal.size.ws_xpixel);
  size->set_ws_ypixel(terminal.size.ws_ypixel);
}

bool IsMaster(const TerminalFacts& terminal) { return terminal.kind == TerminalKind::kMaster; }

}  // namespace

image::TtyType TerminalImages::TypeOf(const TerminalFacts& terminal) const {
  if (scene_.IsExternal(terminal)) return image::EXT_TTY;
  switch (terminal.kind) {
    case TerminalKind::kMaster:
    case TerminalKind::kSlave:
      return image::PTY;
    case TerminalKind::kControlling:
      return image::CTTY;
    case TerminalKind::kConsole:
      return image::CONSOLE;
    case TerminalKind::kVirtualConsole:
      return image::VT;
    case TerminalKind::kOther:
      break;
  }
  return image::UNKNOWN;
}

uint32_t TerminalImages::InfoOf(const TerminalFacts& terminal) {
  const image::TtyType type = TypeOf(terminal);
  // Both ends of a pseudo-terminal stand for one device.
  const uint64_t end =
      type == image::PTY ? (uint64_t{terminal.number} << 1 | IsMaster(terminal)) : terminal.device;
  const auto next = static_cast<uint32_t>(type == image::PTY ? end : kFirstOther + others_);
  const auto [known, is_new] =
      ids_.try_emplace(Identity(type, static_cast<uint32_t>(terminal.stat.st_rdev), end), next);
  if (!is_new) return known->second;
  if (type != image::PTY) ++others_;
  image::tty_info_entry& info = infos_.emplace_back();
  info.set_id(next);
  info.set_type(type);
  info.set_locked(terminal.locked);
  info.set_exclusive(terminal.exclusive);
  info.set_packet_mode(terminal.packet_mode);
  info.set_sid(static_cast<uint32_t>(scene_.SessionOf(terminal)));
  info.set_pgrp(static_cast<uint32_t>(scene_.GroupOf(terminal)));
  info.set_rdev(static_cast<uint32_t>(terminal.stat.st_rdev));
  info.set_dev(static_cast<uint32_t>(terminal.stat.st_dev));
  info.set_uid(terminal.stat.st_uid);
  info.set_gid(terminal.stat.st_gid);
  if (type == image::PTY) info.mutable_pty()->set_index(terminal.number);
  if (!terminal.hung_up) FillState(terminal, info);
  return next;
}

std::vector<image::tty_data_entry> TerminalImages::data() const {
  std::vector<image::tty_data_entry> data;
  const auto add = [&data](uint32_t id, const std::string& bytes) {
    if (bytes.empty()) return;
    image::tty_data_entry& entry = data.emplace_back();
    entry.set_tty_id(id);
    entry.set_data(bytes);
  };
  for (const image::tty_info_entry& info : infos_) {
    // Of the two ends of a pseudo-terminal once.
    if (!info.has_pty() || info.id() % 2 == 0) continue;
    const TerminalContents* contents = scene_.ContentsOf(info.pty().index());
    if (contents == nullptr) continue;
    add(info.id(), contents->output);
    add(info.id() - 1, contents->input);
  }
  return data;
}

std::variant<image::tty_file_entry, WhyNotText> TerminalImages::Entry(const TerminalFacts& terminal,
                                                                      const TerminalFile& file) {
  if (std::optional<WhyNotText> why_not = scene_.WhyNot(terminal)) return *std::move(why_not);
  if (kFirstOther + others_ > kLastOther) {
    return WhyNotText{absl::StrCat("a restore takes no more than ", others_,
                                   " terminals besides pseudo-terminals"),
                      "let the program close some"};
  }
  image::tty_file_entry entry;
  entry.set_id(file.id);
  entry.set_tty_info_id(InfoOf(terminal));
  entry.set_flags(file.flags);
  *entry.mutable_fown() = file.owner;
  return entry;
}

}  // namespace dumpctl
