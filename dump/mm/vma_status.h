#ifndef DUMP_MM_VMA_STATUS_H_
#define DUMP_MM_VMA_STATUS_H_

#include <cstdint>

namespace dumpctl {

// Bits of vma_entry.status, part of the image contract (pycriu's tables name the same ones).
inline constexpr uint32_t kVmaRegular = 1u << 0;  // restore maps it; all but [vsyscall]
inline constexpr uint32_t kVmaVsyscall = 1u << 2;
inline constexpr uint32_t kVmaVdso = 1u << 3;
inline constexpr uint32_t kVmaHeap = 1u << 5;
inline constexpr uint32_t kVmaFilePrivate = 1u << 6;
inline constexpr uint32_t kVmaFileShared = 1u << 7;
inline constexpr uint32_t kVmaAnonShared = 1u << 8;
inline constexpr uint32_t kVmaAnonPrivate = 1u << 9;
inline constexpr uint32_t kVmaSysvShm = 1u << 10;  // beside anonymous shared
inline constexpr uint32_t kVmaVvar = 1u << 12;
inline constexpr uint32_t kVmaAioRing = 1u << 13;  // alone: io_setup(2) maps it
inline constexpr uint32_t kVmaMemfd = 1u << 14;    // beside private or shared file

}  // namespace dumpctl

#endif  // DUMP_MM_VMA_STATUS_H_
