#ifndef DUMP_IMAGE_TAR_HEADER_H_
#define DUMP_IMAGE_TAR_HEADER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace dumpctl {

// The tar format of POSIX.1-1988 (ustar): a header of one record before each file, whose contents
// are filled up to whole records, and two empty records at the end. Written by hand, for
// libarchive's writers are one with those of all its formats, and would bring five more libraries
// into a static program; it is read by libarchive.
inline constexpr uint64_t kTarRecord = 512;

// Of a regular file, owned by root and readable by all. `name` is of up to 99 bytes. Sizes from
// 8 GiB on are given in the base 256, as GNU tar, bsdtar and Python read them.
std::string TarHeader(std::string_view name, uint64_t size, absl::Time modified);

// What fills up a file of `size` bytes.
inline std::string TarPadding(uint64_t size) {
  return std::string((kTarRecord - size % kTarRecord) % kTarRecord, '\0');
}

// The end of an archive.
inline std::string TarEnd() { return std::string(2 * kTarRecord, '\0'); }

}  // namespace dumpctl

#endif  // DUMP_IMAGE_TAR_HEADER_H_
