#include "proc/zero_page.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "absl/cleanup/cleanup.h"
#include "dumpctl/kernel_abi.h"
#include "dumpctl/unique_fd.h"
#include "proc/proc_fs.h"

namespace dumpctl {
namespace {

constexpr size_t kOnePage = 4096;
constexpr size_t kHugePages = 512;
constexpr size_t kHugeSize = kHugePages * kOnePage;

// A read fault brings the zero page on most kernels, but not on those that are told to do without
// (some paravirtual guests are). UFFDIO_ZEROPAGE always does.
bool MapZeroPage(void* page, size_t size) {
  const UniqueFd uffd(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)));
  if (!uffd) return false;
  uffdio_api api = {.api = UFFD_API};
  const uffdio_range range = {reinterpret_cast<uint64_t>(page), size};
  uffdio_register enrol = {.range = range, .mode = UFFDIO_REGISTER_MODE_MISSING};
  uffdio_zeropage zero = {.range = range};
  return ioctl(uffd.get(), UFFDIO_API, &api) == 0 &&
         ioctl(uffd.get(), UFFDIO_REGISTER, &enrol) == 0 &&
         ioctl(uffd.get(), UFFDIO_ZEROPAGE, &zero) == 0;
}

// What our pagemap says of it; 0 if that cannot be read.
uint64_t EntryOfZeros(const void* page) {
  const auto self = ProcDir::OpenOwn();
  if (!self.ok()) return 0;
  const auto pagemap = self->Open("pagemap", O_RDONLY);
  if (!pagemap.ok()) return 0;
  uint64_t entry = 0;
  const auto offset =
      static_cast<off_t>(reinterpret_cast<uint64_t>(page) / kOnePage * sizeof entry);
  if (pread(pagemap->get(), &entry, sizeof entry, offset) != sizeof entry) return 0;
  return entry & abi::kPagemapPresent ? entry : 0;
}

void* MapRoom(size_t size) {
  return mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
              -1, 0);
}

uint64_t FindZeroPage() {
  void* page = MapRoom(kOnePage);
  if (page == MAP_FAILED) return 0;
  const absl::Cleanup unmap = [page] { munmap(page, kOnePage); };
  return MapZeroPage(page, kOnePage) ? EntryOfZeros(page) & abi::kPagemapFrame : 0;
}

uint64_t FindHugeZeroPage() {
  if (access("/sys/kernel/mm/transparent_hugepage", F_OK) != 0) return abi::kPagemapFrame;
  constexpr size_t kSize = 2 * kHugeSize;
  void* room = MapRoom(kSize);
  if (room == MAP_FAILED) return 0;
  const absl::Cleanup unmap = [room] { munmap(room, kSize); };
  char* const at = static_cast<char*>(room) + (-reinterpret_cast<uint64_t>(room)) % kHugeSize;
  if (madvise(at, kHugeSize, MADV_HUGEPAGE) != 0) return 0;
  (void)*static_cast<volatile char*>(at);
  const uint64_t entry = EntryOfZeros(at);
  const uint64_t frame = entry & abi::kPagemapFrame;
  // A page of our own, or a small one of zeros, where the kernel does without.
  const bool own = (entry & abi::kPagemapExclusive) != 0;
  return own || frame % kHugePages != 0 ||
                 (EntryOfZeros(at + kOnePage) & abi::kPagemapFrame) != frame + 1
             ? 0
             : frame;
}

}  // namespace

const ZeroFrames& FindZeroFrames() {
  static const ZeroFrames frames{FindZeroPage(), FindHugeZeroPage()};
  return frames;
}

bool IsZeroPage(uint64_t entry, const ZeroFrames& zeros) {
  const uint64_t frame = entry & abi::kPagemapFrame;
  if ((entry & abi::kPagemapPresent) == 0 || frame == 0) return false;
  return frame == zeros.page ||
         (zeros.huge != 0 && frame >= zeros.huge && frame - zeros.huge < kHugePages);
}

bool MayBeZeroPage(uint64_t entry, const ZeroFrames& zeros) {
  if ((entry & abi::kPagemapPresent) == 0) return false;
  // Pages of zeros are nobody's.
  if ((entry & abi::kPagemapExclusive) != 0) return false;
  if ((entry & abi::kPagemapFrame) == 0 || zeros.page == 0 || zeros.huge == 0) return true;
  return IsZeroPage(entry, zeros);
}

}  // namespace dumpctl
