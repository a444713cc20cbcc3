#ifndef DUMPCTL_FILE_IDENTITY_H_
#define DUMPCTL_FILE_IDENTITY_H_

#include <sys/types.h>

#include <utility>

namespace dumpctl {

// A file as the kernel numbers it: device and inode.
//
// As /proc/PID/maps prints it, the device is that of the file's superblock. stat(2) may answer
// another one for the same file (btrfs subvolumes, overlayfs before Linux 6.8), so identities from
// the two sources are never compared with each other.
struct FileIdentity {
  dev_t dev = 0;  // as makedev(3) builds it
  ino_t ino = 0;

  // Anonymous memory and special mappings show 00:00 0. No file system has device 0, but a file may
  // have inode 0: the first SysV segment has.
  bool valid() const { return dev != 0; }

  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;

  template <typename H>
  friend H AbslHashValue(H state, const FileIdentity& id) {
    return H::combine(std::move(state), id.dev, id.ino);
  }
};

}  // namespace dumpctl

#endif  // DUMPCTL_FILE_IDENTITY_H_
