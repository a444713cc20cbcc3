#include "dump/tty/terminal_contents.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace dumpctl {
namespace {

constexpr unsigned char kEndOfFile = 0;  // as it stands in a queue

bool IsCanonical(const termios2& settings) {
  return (settings.c_lflag & ICANON) != 0 && (settings.c_lflag & EXTPROC) == 0;
}

// Whether a byte that is typed does something, or becomes another one.
class Keys {
 public:
  explicit Keys(const termios2& settings) : settings_(settings) {
    if (Has(settings.c_lflag, ISIG)) Add({VINTR, VQUIT, VSUSP});
    if (Has(settings.c_iflag, IXON)) Add({VSTART, VSTOP});
    if (!IsCanonical(settings)) return;
    Add({VERASE, VKILL, VEOF, VEOL});
    if (Has(settings.c_lflag, IEXTEN)) Add({VWERASE, VLNEXT, VREPRINT, VEOL2});
  }

  bool Changes(unsigned char byte) const {
    const tcflag_t flags = settings_.c_iflag;
    if (keys_.find(static_cast<char>(byte)) != std::string::npos) return true;
    if (byte == '\r' && Has(flags, ICRNL | IGNCR)) return true;
    if (byte == '\n' && (Has(flags, INLCR) || IsCanonical(settings_))) return true;
    if (byte >= 0x80 && Has(flags, ISTRIP)) return true;
    if (byte == 0xff && Has(flags, PARMRK)) return true;
    return byte >= 'A' && byte <= 'Z' && Has(flags, IUCLC);
  }

 private:
  static bool Has(tcflag_t flags, tcflag_t any) { return (flags & any) != 0; }

  void Add(std::initializer_list<int> names) {
    for (const int name : names) {
      if (settings_.c_cc[name] != 0) keys_.push_back(static_cast<char>(settings_.c_cc[name]));
    }
  }

  const termios2& settings_;
  std::string keys_;
};

// What is typed so that `queue` comes of it; none when nothing does it.
std::optional<std::string> Typed(const TerminalQueue& queue, const termios2& settings) {
  const Keys keys(settings);
  const bool canonical = IsCanonical(settings);
  std::string typed;
  for (size_t i = 0; i < queue.bytes.size(); ++i) {
    const auto byte = static_cast<unsigned char>(queue.bytes[i]);
    const bool ends_line = canonical && queue.ends[i];
    if (ends_line && byte == kEndOfFile) {
      if (settings.c_cc[VEOF] == 0) return std::nullopt;
      typed.push_back(static_cast<char>(settings.c_cc[VEOF]));
      continue;
    }
    const bool is_newline = ends_line && byte == '\n' && (settings.c_iflag & INLCR) == 0;
    if (!is_newline && keys.Changes(byte)) return std::nullopt;
    typed.push_back(static_cast<char>(byte));
  }
  return typed;
}

bool Echoes(const termios2& settings) { return (settings.c_lflag & (ECHO | ECHONL)) != 0; }

// What the slave echoes when a queue is typed, where that is plain text; none where it is not.
std::optional<std::string> EchoOf(const TerminalQueue& queue, const termios2& settings) {
  std::string echo;
  for (size_t i = 0; i < queue.bytes.size(); ++i) {
    const char byte = queue.bytes[i];
    if (byte == '\n' && (settings.c_oflag & OPOST) != 0 && (settings.c_oflag & ONLCR) != 0) {
      echo += "\r\n";
    } else if (byte == '\n' || (byte >= ' ' && byte <= '~')) {
      echo += byte;
    } else if (!(queue.ends[i] && byte == kEndOfFile)) {
      return std::nullopt;
    }
  }
  return echo;
}

// What is written at the slave so that `text` arrives; none when nothing does it.
std::optional<std::string> Written(std::string_view text, const termios2& settings) {
  if ((settings.c_oflag & OPOST) == 0 || text.empty()) return std::string(text);
  constexpr tcflag_t kOthers = OLCUC | OCRNL | ONOCR | ONLRET;
  if ((settings.c_oflag & kOthers) != 0) return std::nullopt;
  if ((settings.c_oflag & TABDLY) == XTABS && text.find('\t') != std::string_view::npos) {
    return std::nullopt;
  }
  if ((settings.c_oflag & ONLCR) == 0) return std::string(text);
  std::string written;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') return std::nullopt;  // not behind a carriage return
    if (text.substr(i, 2) == "\r\n") ++i;
    written.push_back(text[i]);
  }
  return written;
}

WhyNotText CannotWrite(std::string_view what, size_t bytes) {
  return {absl::StrCat(bytes, " bytes wait there to be read, which no ", std::string(what),
                       " brings back with its settings (termios)"),
          "dump it when its readers have caught up"};
}

}  // namespace

std::variant<TerminalContents, WhyNotText> ContentsOf(const TerminalQueue& at_master,
                                                      const TerminalQueue& at_slave,
                                                      const termios2& settings) {
  if (at_master.more || at_slave.more) {
    return WhyNotText{"more waits there to be read than its queue holds",
                      "dump it when its readers have caught up"};
  }
  std::optional<std::string> input = Typed(at_slave, settings);
  if (!input) return CannotWrite("typing", at_slave.bytes.size());
  std::string_view output = at_master.bytes;
  if (!input->empty() && Echoes(settings)) {
    // The restore has it echoed once more: that is right only where the echo still waits, too.
    const std::optional<std::string> echo = EchoOf(at_slave, settings);
    if (!echo || (settings.c_lflag & ECHO) == 0 || !output.ends_with(*echo)) {
      return WhyNotText{absl::StrCat(input->size(),
                                     " bytes that were typed wait there to be read, and a "
                                     "restore would have them echoed once more"),
                        "dump it when its reader has caught up, or has ended the line"};
    }
    output.remove_suffix(echo->size());
  }
  std::optional<std::string> written = Written(output, settings);
  if (!written) return CannotWrite("writing", at_master.bytes.size());
  return TerminalContents{*std::move(written), *std::move(input)};
}

}  // namespace dumpctl
