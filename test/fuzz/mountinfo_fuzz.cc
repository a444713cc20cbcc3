#include "proc/mountinfo_parser.h"
#include "test/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = dumpctl::TextOf(data, size);
  const auto mounts = dumpctl::ParseMountinfo(text);
  if (dumpctl::Parsed(mounts)) {
    for (const dumpctl::Mount& mount : *mounts) {
      dumpctl::Require(mount.id >= 0 && mount.parent >= 0 && !mount.root.empty());
      dumpctl::Require(mount.mount_point.starts_with('/'));
      dumpctl::Require(!mount.fs_type.empty() && !mount.super_options.empty());
    }
  }
  dumpctl::Require(dumpctl::UndoOctalEscapes(text).size() <= size);
  return 0;
}
