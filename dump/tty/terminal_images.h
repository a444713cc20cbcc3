#ifndef DUMP_TTY_TERMINAL_IMAGES_H_
#define DUMP_TTY_TERMINAL_IMAGES_H_

#include <cstdint>
#include <map>
#include <tuple>
#include <variant>
#include <vector>

#include "dump/tty/terminal.h"
#include "dump/tty/terminal_refusal.h"
#include "proto/fown.pb.h"
#include "proto/special_files.pb.h"

namespace dumpctl {

// What an open file of a terminal has by itself.
struct TerminalFile {
  uint32_t id = 0;
  uint32_t flags = 0;
  image::fown_entry owner;
};

// Turns the terminals of a dump into entries. Their tasks may run again, or be dead.
class TerminalImages {
 public:
  // `scene` must outlive the object.
  explicit TerminalImages(const TerminalScene& scene) : scene_(scene) {}

  // The entry of an open file, but for that of its path; or why there is none.
  std::variant<image::tty_file_entry, WhyNotText> Entry(const TerminalFacts& terminal,
                                                        const TerminalFile& file);

  bool IsExternal(const TerminalFacts& terminal) const { return scene_.IsExternal(terminal); }

  // What the entries so far refer to, one for each terminal, or end of a pseudo-terminal.
  const std::vector<image::tty_info_entry>& infos() const { return infos_; }

  // What waits in them; empty where nothing does.
  std::vector<image::tty_data_entry> data() const;

 private:
  using Identity = std::tuple<image::TtyType, uint32_t, uint64_t>;

  image::TtyType TypeOf(const TerminalFacts& terminal) const;
  uint32_t InfoOf(const TerminalFacts& terminal);

  const TerminalScene& scene_;
  std::vector<image::tty_info_entry> infos_;
  std::map<Identity, uint32_t> ids_;
  uint32_t others_ = 0;  // than pseudo-terminals
};

}  // namespace dumpctl

#endif  // DUMP_TTY_TERMINAL_IMAGES_H_
