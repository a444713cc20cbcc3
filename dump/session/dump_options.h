#ifndef DUMP_SESSION_DUMP_OPTIONS_H_
#define DUMP_SESSION_DUMP_OPTIONS_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "dump/cg/cgroup_options.h"
#include "dump/fd/file_name.h"
#include "dump/image/page_server_client.h"
#include "dump/sk/inet_policy.h"
#include "dump/tty/terminal_refusal.h"

namespace dumpctl {

// What becomes of the task when its images stand.
enum class Outcome : uint8_t { kKilled, kRunning, kStopped };

// Whether memory is written while the tree runs: beforehand, and again what is written to then
// (PreCopy), or from copy-on-write copies afterwards. kAuto: what pays and can be; kCow: all of it
// from copies, or the dump is refused; kPreCopy: beforehand, whatever the size, and else as kAuto;
// kOff: it stands until all is written.
enum class SnapshotMode : uint8_t { kAuto, kCow, kPreCopy, kOff };

struct SnapshotOptions {
  SnapshotMode mode = SnapshotMode::kAuto;
  // Bytes of memory from which on a task is worth a copy, if they do not lie too far apart for one;
  // below, and from 1 on, each is, wherever they lie.
  uint64_t worth = kWorthOfItself;
  static constexpr uint64_t kWorthOfItself = 4 << 20;
  std::optional<uint64_t> max_extra;  // bytes of memory that copies may come to take
};

// What one dump is asked to do; see dumpctl(1).
struct DumpOptions {
  pid_t pid = 0;
  std::string images_dir = ".";
  std::string work_dir;  // of logs and statistics; empty: the images directory
  // Where the whole dump goes as one archive, "-" for standard output; images_dir is empty then.
  std::string output;
  std::optional<ServerPlace> page_server;  // --page-server: where memory goes instead
  bool stream = false;                     // --stream: to the streamer that waits in images_dir
  bool sync = false;    // --sync: what is written is on the disk when a dump stands
  bool direct = false;  // --direct: pages files are written past the page cache
  Outcome outcome = Outcome::kKilled;
  SnapshotOptions snapshot;            // of who is left running
  TerminalOptions terminals;           // --shell-job, --external tty[...]
  bool external_unix_sockets = false;  // --ext-unix-sk
  InetPolicy inet;
  CgroupOptions cgroups;
  bool file_locks = false;
  bool link_remap = false;
  std::vector<ExternalFile> external_files;    // --external file[...]
  bool write_once = true;                      // --write-once: pages that forked tasks share
  uint64_t ghost_limit = 1 << 20;              // bytes of a deleted file that are saved
  std::optional<NetworkLock> network_lock;     // --network-lock
  absl::Duration timeout = absl::Seconds(10);  // for freezing
  std::vector<std::string> action_scripts;     // --action-script, as they were given
  std::string prev_images_dir;                 // --prev-images-dir; empty: none
  bool track_mem = false;                      // --track-mem
  bool auto_dedup = false;                     // --auto-dedup
  std::string pidfile;                         // empty: none is written
  std::string trace;                           // a file for TraceText; empty: none is written
  std::string kernel_features;                 // see KernelFeatures::Probe
  std::string fault;                           // see FaultPoints
  // Told while memory is written, in bytes; at most every 100 ms.
  std::function<void(uint64_t done, uint64_t total)> progress;
  // Asked before each step until the images are committed, and every 100 ms of a long one. An error
  // ends the dump as any other error does.
  std::function<absl::Status()> may_go_on;
};

}  // namespace dumpctl

#endif  // DUMP_SESSION_DUMP_OPTIONS_H_
