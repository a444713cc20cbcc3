#ifndef DUMP_FD_BUILD_ID_H_
#define DUMP_FD_BUILD_ID_H_

#include <cstdint>
#include <vector>

namespace dumpctl {

// The GNU build id (NT_GNU_BUILD_ID, ld(1) --build-id) of the 64-bit ELF file behind a readable
// descriptor, as little-endian words, the way images hold it. Empty for any other file, and for one
// that cannot be read: the id only lets a restore notice that a program was replaced by another of
// the same size.
std::vector<uint32_t> ReadBuildId(int fd);

}  // namespace dumpctl

#endif  // DUMP_FD_BUILD_ID_H_
