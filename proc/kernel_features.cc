#include "proc/kernel_features.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "dumpctl/capabilities.h"
#include "dumpctl/kernel_abi.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/unique_fd.h"
#include "proc/proc_fs.h"

namespace dumpctl {
namespace {

// One page of our own memory that has been written.
class TouchedPage {
 public:
  TouchedPage()
      : size_(static_cast<size_t>(sysconf(_SC_PAGESIZE))),
        page_(mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (valid()) *static_cast<volatile char*>(page_) = 1;
  }
  ~TouchedPage() {
    if (valid()) munmap(page_, size_);
  }
  TouchedPage(const TouchedPage&) = delete;
  TouchedPage& operator=(const TouchedPage&) = delete;

  bool valid() const { return page_ != MAP_FAILED; }
  void* data() const { return page_; }
  uint64_t address() const { return reinterpret_cast<uint64_t>(page_); }
  size_t size() const { return size_; }

 private:
  size_t size_;
  void* page_;
};

bool HasProcmapQuery(const ProcDir& self) {
  const TouchedPage page;
  const auto maps = self.Open("maps", O_RDONLY);
  if (!maps.ok() || !page.valid()) return false;
  abi::ProcmapQuery query = {.size = sizeof query, .query_addr = page.address()};
  return ioctl(maps->get(), abi::kProcmapQuery, &query) == 0;
}

// Whether a scan for `category` is understood: kernels refuse categories they do not know.
bool CanScanFor(const ProcDir& self, uint64_t category) {
  const auto pagemap = self.Open("pagemap", O_RDONLY);
  if (!pagemap.ok()) return false;
  abi::PageRegion region = {};
  // A page that is there.
  const auto size = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t start = reinterpret_cast<uint64_t>(&region) & ~(size - 1);
  abi::PmScanArg arg = {.size = sizeof arg,
                        .start = start,
                        .end = start + size,
                        .vec = reinterpret_cast<uint64_t>(&region),
                        .vec_len = 1,
                        .category_anyof_mask = abi::kPageIsPresent | category,
                        .return_mask = abi::kPageIsPresent | category};
  return ioctl(pagemap->get(), abi::kPagemapScan, &arg) == 1;
}

// What our pagemap says of the page; 0 if that cannot be read.
uint64_t EntryOf(const ProcDir& self, const TouchedPage& page) {
  const auto pagemap = self.Open("pagemap", O_RDONLY);
  uint64_t entry = 0;
  const auto offset = static_cast<off_t>(page.address() / page.size() * sizeof entry);
  if (!pagemap.ok() || pread(pagemap->get(), &entry, sizeof entry, offset) != sizeof entry)
    return 0;
  return entry;
}

bool HasPagemapGuard(const ProcDir& self) {
  const TouchedPage page;
  if (!page.valid()) return false;
  // A kernel without guards has none to tell.
  if (madvise(page.data(), page.size(), abi::kMadvGuardInstall) != 0) return true;
  return (EntryOf(self, page) & abi::kPagemapGuard) != 0;
}

bool HasDupfdQuery(const ProcDir& self) {
  return fcntl(self.fd().get(), abi::kFDupfdQuery, self.fd().get()) == 1;
}

// Whether our own bits are set by writing, and cleared on request; and whether we see frames,
// without which they do not tell enough (ChangedPages). Nothing is ours that others track.
bool HasSoftDirty(const ProcDir& self) {
  const TouchedPage page;
  const auto marked = [&] {
    const uint64_t entry = EntryOf(self, page);
    return (entry & abi::kPagemapSoftDirty) != 0 && (entry & abi::kPagemapFrame) != 0;
  };
  // A page that was just written is dirty wherever dirtiness is tracked.
  if (!page.valid() || !marked()) return false;
  const auto clear_refs = self.Open("clear_refs", O_WRONLY);
  if (!clear_refs.ok() || write(clear_refs->get(), "4", 1) != 1 || marked()) return false;
  *static_cast<volatile char*>(page.data()) = 2;
  return marked();
}

// Whether we can watch writes to our own memory, and take a descriptor from a thread.
bool HasWriteWatch(const ProcDir& self) {
  if (!CanScanFor(self, abi::kPageIsWritten)) return false;
  const UniqueFd uffd(
      static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | abi::kUffdUserModeOnly)));
  uffdio_api api = {.api = UFFD_API, .features = abi::kUffdFeatureWpAsync};
  if (!uffd || ioctl(uffd.get(), UFFDIO_API, &api) < 0) return false;
  const UniqueFd thread(
      static_cast<int>(syscall(SYS_pidfd_open, syscall(SYS_gettid), abi::kPidfdThread)));
  return thread.valid();
}

// Whether a program may be loaded and there are types to write it by. Whether the kernel then takes
// it shows when it is loaded, which is too dear for a question.
bool MayIterateByBpf() {
  const uint64_t capabilities = EffectiveCapabilities();
  const auto has = [capabilities](int which) { return HasCapability(capabilities, which); };
  if (!has(CAP_SYS_ADMIN) && !(has(CAP_BPF) && has(CAP_PERFMON))) return false;
  return access("/sys/kernel/btf/vmlinux", R_OK) == 0;
}

constexpr KernelFeatures::Description kDescriptions[] = {
    {KernelFeature::kProcmapQuery, "procmap_query", "Linux 6.11",
     "single mappings without reading all", "all are read"},
    {KernelFeature::kPagemapScan, "pagemap_scan", "Linux 6.7",
     "finding the pages of sparse memory without walking it",
     "page tables are read entry by entry, about 1 s a TiB of addresses"},
    {KernelFeature::kPagemapScanGuard, "pagemap_scan_guard", "Linux 6.15",
     "finding MADV_GUARD_INSTALL ranges by the same scan", "the entries of swapped pages are read"},
    {KernelFeature::kPagemapGuard, "pagemap_guard", "Linux 6.15",
     "telling MADV_GUARD_INSTALL ranges from swapped memory", "tasks that have some are refused"},
    {KernelFeature::kDupfdQuery, "dupfd_query", "Linux 6.10",
     "finding descriptors that share an open file", "kcmp(2) is asked"},
    {KernelFeature::kSoftDirty, "soft_dirty", "CONFIG_MEM_SOFT_DIRTY, and CAP_SYS_ADMIN",
     "tracking what is written between dumps where write_watch is absent",
     "write_watch does it, or no dump builds on another"},
    {KernelFeature::kWriteWatch, "write_watch", "Linux 6.9 with CONFIG_USERFAULTFD",
     "tracking what is written between dumps (pre-dump, --track-mem)",
     "soft_dirty does it, or no dump builds on another: each is whole"},
    {KernelFeature::kBpfTaskVma, "bpf_task_vma",
     "Linux 6.1 with CONFIG_DEBUG_INFO_BTF, and CAP_BPF",
     "the flags of many mappings without walking their pages, and requests of asynchronous I/O",
     "smaps is read, and processes with contexts of asynchronous I/O are refused"},
    {KernelFeature::kBpfTaskFile, "bpf_task_file",
     "Linux 6.1 with CONFIG_DEBUG_INFO_BTF, and CAP_BPF",
     "many descriptors at once, and what waits to be read from terminals",
     "each of them is asked; where something waits it is refused, and a line that is not ended is "
     "lost"},
    {KernelFeature::kBpfTask, "bpf_task", "Linux 6.1 with CONFIG_DEBUG_INFO_BTF, and CAP_BPF",
     "the state of many threads at once", "each of them is asked"},
};

bool Answer(KernelFeature feature);

bool Ask(KernelFeature feature) {
  const absl::StatusOr<ProcDir> proc = ProcDir::OpenOwn();
  if (!proc.ok()) return false;
  const ProcDir& self = *proc;
  switch (feature) {
    case KernelFeature::kProcmapQuery:
      return HasProcmapQuery(self);
    case KernelFeature::kPagemapScan:
      // Mostly asked together.
      return Answer(KernelFeature::kPagemapScanGuard) || CanScanFor(self, 0);
    case KernelFeature::kPagemapScanGuard:
      return CanScanFor(self, abi::kPageIsGuard);
    case KernelFeature::kPagemapGuard:
      return HasPagemapGuard(self);
    case KernelFeature::kDupfdQuery:
      return HasDupfdQuery(self);
    case KernelFeature::kSoftDirty:
      return HasSoftDirty(self);
    case KernelFeature::kWriteWatch:
      return HasWriteWatch(self);
    case KernelFeature::kBpfTaskVma:
    case KernelFeature::kBpfTaskFile:
      return Answer(KernelFeature::kBpfTask);
    case KernelFeature::kBpfTask:
      return MayIterateByBpf();
  }
  return false;
}

// The kernel's answer. It stays what it is, so that it is no matter if two threads ask at once.
bool Answer(KernelFeature feature) {
  enum Known : int8_t { kUnasked, kNo, kYes };
  static std::array<std::atomic<Known>, std::size(kDescriptions)> answers;
  std::atomic<Known>& answer = answers[static_cast<size_t>(feature)];
  Known known = answer;
  if (known == kUnasked) answer = known = Ask(feature) ? kYes : kNo;
  return known == kYes;
}

uint32_t BitOf(KernelFeature feature) { return uint32_t{1} << static_cast<int>(feature); }

absl::StatusOr<uint32_t> ParseForcedDown(std::string_view overrides) {
  uint32_t bits = 0;
  while (!overrides.empty()) {
    const std::string_view word = overrides.substr(0, overrides.find(','));
    overrides.remove_prefix(std::min(word.size() + 1, overrides.size()));
    const auto it = std::find_if(
        std::begin(kDescriptions), std::end(kDescriptions),
        [word](const auto& row) { return word.starts_with('-') && word.substr(1) == row.name; });
    if (it == std::end(kDescriptions)) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", absl::string_view(word.data(), word.size()),
                       "\" forces no kernel feature down: write a '-' and the feature's name"));
    }
    bits |= BitOf(it->feature);
  }
  return bits;
}

}  // namespace

std::span<const KernelFeatures::Description> KernelFeatures::All() { return kDescriptions; }

absl::StatusOr<KernelFeatures> KernelFeatures::Probe(std::string_view overrides) {
  ASSIGN_OR_RETURN(const uint32_t forced_down, ParseForcedDown(overrides));
  return KernelFeatures(forced_down);
}

bool KernelFeatures::Has(KernelFeature feature) const {
  return (forced_down_ & BitOf(feature)) == 0 && Answer(feature);
}

}  // namespace dumpctl
