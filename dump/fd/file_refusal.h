#ifndef DUMP_FD_FILE_REFUSAL_H_
#define DUMP_FD_FILE_REFUSAL_H_

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "dumpctl/resource_refusal.h"
#include "proc/fdinfo_parser.h"

namespace dumpctl {

// What stands behind a descriptor, as far as a dump treats it differently.
enum class FileKind {
  kRegular,
  kDirectory,
  kMemoryDevice,  // /dev/null, zero, full, random, urandom: dumped by their path, as files are
  kPipe,
  kFifo,  // a pipe with a name
  kEventfd,
  kTimerfd,
  kSignalfd,
  kEpoll,
  kInotify,
  kFanotify,
  kPidfd,
  kUnixSocket,
  kNamespace,
  kPath,  // O_PATH: opened by a name, whatever it is
  kMemfd,
  kTerminal,
  kInetSocket,  // of TCP, UDP or UDP-Lite, or raw
  kNetlinkSocket,
  kPacketSocket,
  kOther,
};

// `link` is what readlink(2) says of the descriptor; of a socket, with its protocol behind
// (DescriptorLink). `flags` of open(2), as fdinfo has them. Pure.
FileKind FileKindOf(const struct stat& stat, std::string_view link, uint32_t flags);

// Whether it is found by a name in the file system (file_name.h).
bool HasName(FileKind kind);

// The name of its type, for people: "socket", "eventfd", "terminal", "regular file"...
std::string_view FileTypeName(const struct stat& stat, std::string_view link);

// Why a descriptor cannot be dumped; nothing when it can, as far as these facts tell. Pure.
std::optional<WhyNot> WhyNotDumpable(const struct stat& stat, std::string_view link,
                                     const FdInfo& info);

}  // namespace dumpctl

#endif  // DUMP_FD_FILE_REFUSAL_H_
