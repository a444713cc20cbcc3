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

}  // namespace

uint64_t ZeroPageFrame() {
  const auto size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* page = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return 0;
  const absl::Cleanup unmap = [page, size] { munmap(page, size); };
  if (!MapZeroPage(page, size)) return 0;
  const auto self = ProcDir::OpenTask(getpid());
  if (!self.ok()) return 0;
  const auto pagemap = self->Open("pagemap", O_RDONLY);
  if (!pagemap.ok()) return 0;
  uint64_t entry = 0;
  const auto offset = static_cast<off_t>(reinterpret_cast<uint64_t>(page) / size * sizeof entry);
  if (pread(pagemap->get(), &entry, sizeof entry, offset) != sizeof entry) return 0;
  return entry & abi::kPagemapPresent ? entry & abi::kPagemapFrame : 0;
}

}  // namespace dumpctl
