#include "proc/vm_flag_samples.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "dumpctl/kernel_abi.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/unique_fd.h"
#include "proc/proc_fs.h"
#include "proc/smaps_parser.h"
#include "proc/task_maps.h"

namespace dumpctl {
namespace {

constexpr int kReadWrite = PROT_READ | PROT_WRITE;
constexpr int kPrivate = MAP_PRIVATE | MAP_ANONYMOUS;

enum class Lock : uint8_t { kNone, kAll, kOnFault };

// The state of one page.
struct State {
  int protection = kReadWrite;
  int flags = kPrivate;  // of mmap(2); this program's own file without MAP_ANONYMOUS
  int advice = MADV_NORMAL;
  Lock lock = Lock::kNone;
  bool watched = false;  // by userfaultfd(2): what a dump watches writes by
};

// Each differs from the first in one thing, so that a code can only stand for one bit. Sealing is
// left out, because it is for good, and so is what a dump refuses anyway.
constexpr State kStates[] = {
    {},
    {.protection = PROT_NONE},
    {.protection = PROT_READ},
    {.protection = PROT_READ | PROT_EXEC},
    {.flags = MAP_SHARED | MAP_ANONYMOUS},
    {.protection = PROT_READ, .flags = MAP_SHARED},  // may never be written
    {.protection = PROT_READ, .flags = MAP_PRIVATE},
    {.flags = kPrivate | MAP_NORESERVE},
    {.flags = kPrivate | MAP_GROWSDOWN},
    {.flags = abi::kMapDroppable | MAP_ANONYMOUS},
    {.advice = MADV_SEQUENTIAL},
    {.advice = MADV_RANDOM},
    {.advice = MADV_DONTFORK},
    {.advice = MADV_DONTDUMP},
    {.advice = MADV_WIPEONFORK},
    {.advice = MADV_MERGEABLE},
    {.advice = MADV_HUGEPAGE},
    {.advice = MADV_NOHUGEPAGE},
    {.advice = abi::kMadvGuardInstall},
    {.lock = Lock::kAll},
    {.lock = Lock::kOnFault},
    {.watched = true},
};

// Every other page is inaccessible, so that no two states become one mapping.
class SamplePages {
 public:
  explicit SamplePages(const UniqueFd& program)
      : page_(static_cast<size_t>(sysconf(_SC_PAGESIZE))),
        size_((2 * std::size(kStates) + 1) * page_),
        watch_(static_cast<int>(
            syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | abi::kUffdUserModeOnly))),
        base_(mmap(nullptr, size_, PROT_NONE, kPrivate | MAP_NORESERVE, -1, 0)) {
    if (!valid()) return;
    char* at = static_cast<char*>(base_) + page_;
    for (const State& state : kStates) {
      Put(state, program, at);
      at += 2 * page_;
    }
  }
  ~SamplePages() {
    if (valid()) munmap(base_, size_);
  }
  SamplePages(const SamplePages&) = delete;
  SamplePages& operator=(const SamplePages&) = delete;

  bool valid() const { return base_ != MAP_FAILED; }
  bool Holds(const MappingFlags& mapping) const {
    const auto base = reinterpret_cast<uint64_t>(base_);
    return mapping.start.value() >= base && mapping.end.value() <= base + size_;
  }

 private:
  // What fails leaves the page in another state, of which smaps tells as truly.
  void Put(const State& state, const UniqueFd& program, char* at) const {
    const int file = (state.flags & MAP_ANONYMOUS) != 0 ? -1 : program.get();
    if (mmap(at, page_, state.protection, state.flags | MAP_FIXED, file, 0) == MAP_FAILED) return;
    if (state.advice != MADV_NORMAL) madvise(at, page_, state.advice);
    if (state.lock == Lock::kAll) mlock(at, page_);
    if (state.lock == Lock::kOnFault) mlock2(at, page_, MLOCK_ONFAULT);
    if (state.watched) Watch(at);
  }

  void Watch(char* at) const {
    uffdio_api api = {.api = UFFD_API};
    uffdio_register whole = {.range = {reinterpret_cast<uint64_t>(at), page_},
                             .mode = UFFDIO_REGISTER_MODE_WP};
    if (watch_ && ioctl(watch_.get(), UFFDIO_API, &api) == 0) {
      ioctl(watch_.get(), UFFDIO_REGISTER, &whole);
    }
  }

  size_t page_;
  size_t size_;
  UniqueFd watch_;
  void* base_;
};

struct Told {
  MappingFlags mapping;
  std::string codes;
};

// Other mappings of this process may change while they are looked at.
bool IsSample(const MappingFlags& mapping, std::string_view head, const SamplePages& pages) {
  if (pages.Holds(mapping)) return true;
  constexpr std::string_view kKernels[] = {"[vdso]", "[vvar]", "[vvar_vclock]", "[stack]"};
  return std::any_of(std::begin(kKernels), std::end(kKernels),
                     [head](std::string_view name) { return head.ends_with(name); });
}

}  // namespace

absl::StatusOr<std::vector<VmFlagSample>> SampleVmFlags(const BpfVmaIterator& iterator) {
  ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenOwn());
  ASSIGN_OR_RETURN(const UniqueFd program, self.Open("exe", O_RDONLY));
  const SamplePages pages(program);
  if (!pages.valid()) return absl::ErrnoToStatus(errno, "mapping sample pages");

  std::vector<VmFlagSample> samples;
  std::vector<Told> told;
  const auto keep = [&](std::string_view head, std::string_view codes) -> absl::Status {
    ASSIGN_OR_RETURN(const MappingFlags mapping, ParseMappingFlags(head, codes));
    if (IsSample(mapping, head, pages)) told.push_back({mapping, std::string(codes)});
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(ReadSmapsOf(self, keep));

  ASSIGN_OR_RETURN(const UniqueFd attached, iterator.Attach(getpid()));
  const auto learn = [&](const VmaRecord& record) {
    const auto same = std::find_if(told.begin(), told.end(), [&record](const Told& other) {
      return other.mapping.start.value() == record.start && other.mapping.end.value() == record.end;
    });
    if (same != told.end()) samples.push_back({record.flags, same->codes});
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(BpfVmaIterator::Read(attached, learn));
  // Before Linux 6.1 there is no choice of a task: the mappings given are those of the first one.
  if (samples.size() < std::size(kStates)) {
    return absl::FailedPreconditionError("BPF does not tell of this process's own mappings");
  }
  return samples;
}

absl::StatusOr<std::vector<Mapping>> MappingsOfEveryTask() {
  ASSIGN_OR_RETURN(const ProcDir self, ProcDir::OpenOwn());
  std::vector<Mapping> mappings;
  const auto keep = [&](std::string_view head, std::string_view codes) -> absl::Status {
    if (!head.ends_with("[vsyscall]")) return absl::OkStatus();
    ASSIGN_OR_RETURN(Mapping mapping, ParseMapsLine(head));
    ASSIGN_OR_RETURN(const MappingFlags told, ParseMappingFlags(head, codes));
    mapping.flags = told.flags;
    mappings.push_back(std::move(mapping));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(ReadSmapsOf(self, keep));
  return mappings;
}

}  // namespace dumpctl
