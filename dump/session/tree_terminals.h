#ifndef DUMP_SESSION_TREE_TERMINALS_H_
#define DUMP_SESSION_TREE_TERMINALS_H_

#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/fd/fd_collector.h"
#include "dump/fd/file_table.h"
#include "dump/session/frozen_facts.h"
#include "dump/tty/terminal_images.h"

namespace dumpctl {

// Reads all terminals among the descriptors of frozen tasks, and those that wait in the queues of
// their sockets. `queues` looks into what waits there; may be null.
absl::Status ReadTerminals(const KernelFeatures& features, const BpfTerminalQueues* queues,
                           TreeFacts& facts);

// The terminals of a dump while its images are built.
class TerminalBuilder {
 public:
  // All arguments must outlive the object. `tree`: the tasks that are alive, the root first.
  TerminalBuilder(const TreeTerminals& terminals, std::span<const TaskStat> tree,
                  const TerminalOptions& options, FileTable& files);
  TerminalBuilder(const TerminalBuilder&) = delete;
  TerminalBuilder& operator=(const TerminalBuilder&) = delete;

  // Must not outlive the object.
  FileMaker Maker();

  const std::vector<image::tty_info_entry>& infos() const { return images_.infos(); }
  std::vector<image::tty_data_entry> data() const { return images_.data(); }
  // Those that are not of a file.
  ResourceRefusals refusals() const { return scene_.RefuseLeaders(); }

 private:
  absl::StatusOr<MadeFile> Make(const Descriptor& descriptor, uint32_t id, uint32_t flags,
                                const image::fown_entry& owner);

  const TreeTerminals& terminals_;
  FileTable& files_;
  TerminalScene scene_;
  TerminalImages images_;
};

// Whose terminal a restore does not bring back: it gives terminals to leaders of sessions, when
// these have their children already.
std::vector<std::string> LostTerminals(std::span<const FrozenFacts> tasks);

}  // namespace dumpctl

#endif  // DUMP_SESSION_TREE_TERMINALS_H_
