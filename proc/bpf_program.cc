#include "proc/bpf_program.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/status/status.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/trace.h"

namespace dumpctl {
namespace {

constexpr char kKernelBtf[] = "/sys/kernel/btf/vmlinux";

// The kernel lends the functions that programs call to those under such a licence alone; their
// instructions, and nothing else of this project, are under it.
constexpr char kLicence[] = "Dual BSD/GPL";

int Bpf(bpf_cmd command, bpf_attr& attr) {
  return static_cast<int>(syscall(SYS_bpf, command, &attr, sizeof attr));
}

}  // namespace

absl::StatusOr<KernelBtf> KernelBtf::Open() {
  const UniqueFd file(open(kKernelBtf, O_RDONLY | O_CLOEXEC));
  struct stat stat = {};
  if (!file || fstat(file.get(), &stat) < 0) return absl::ErrnoToStatus(errno, kKernelBtf);
  KernelBtf btf;
  btf.size_ = static_cast<size_t>(stat.st_size);
  // Linux 6.16 lets it be mapped, which costs nothing; else there are 5 MB to be copied.
  void* const mapped = mmap(nullptr, btf.size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (mapped == MAP_FAILED) {
    RETURN_IF_ERROR(btf.Read(file));
  } else {
    btf.mapped_ = mapped;
  }
  return btf;
}

KernelBtf::KernelBtf(KernelBtf&& other) noexcept
    : size_(other.size_),
      mapped_(std::exchange(other.mapped_, nullptr)),
      read_(std::move(other.read_)) {}

KernelBtf::~KernelBtf() {
  if (mapped_ != nullptr) munmap(mapped_, size_);
}

std::string_view KernelBtf::bytes() const {
  return {mapped_ == nullptr ? read_.get() : static_cast<const char*>(mapped_), size_};
}

absl::Status KernelBtf::Read(const UniqueFd& file) {
  read_ = std::make_unique_for_overwrite<char[]>(size_);
  for (size_t used = 0; used < size_;) {
    const ssize_t n = read(file.get(), read_.get() + used, size_ - used);
    if (n < 0) return absl::ErrnoToStatus(errno, kKernelBtf);
    if (n == 0) return absl::DataLossError("the kernel's BTF ends early");
    used += static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> LoadBpfIterator(uint32_t function,
                                         std::span<const bpf_insn> instructions) {
  const TraceSpan span(TraceKind::kWork, "load a BPF program", {{"size", instructions.size()}});
  bpf_attr attr = {};
  attr.prog_type = BPF_PROG_TYPE_TRACING;
  attr.expected_attach_type = BPF_TRACE_ITER;
  attr.attach_btf_id = function;
  attr.insns = reinterpret_cast<uint64_t>(instructions.data());
  attr.insn_cnt = static_cast<uint32_t>(instructions.size());
  attr.license = reinterpret_cast<uint64_t>(kLicence);
  // A signal, even one that is ignored in the end, has the verifier give up.
  constexpr int kAttempts = 5;
  UniqueFd program;
  for (int i = 0; i < kAttempts && !program; ++i) {
    program.Reset(Bpf(BPF_PROG_LOAD, attr));
    if (!program && errno != EAGAIN) break;
  }
  if (!program) return absl::ErrnoToStatus(errno, "loading a BPF program");
  return program;
}

namespace {

absl::StatusOr<UniqueFd> Attach(const UniqueFd& program, bpf_iter_link_info info) {
  bpf_attr attr = {};
  attr.link_create.prog_fd = static_cast<uint32_t>(program.get());
  attr.link_create.attach_type = BPF_TRACE_ITER;
  attr.link_create.iter_info = reinterpret_cast<uint64_t>(&info);
  attr.link_create.iter_info_len = sizeof info;
  const UniqueFd link(Bpf(BPF_LINK_CREATE, attr));
  if (!link) return absl::ErrnoToStatus(errno, "attaching a BPF program");
  attr = {};
  attr.iter_create.link_fd = static_cast<uint32_t>(link.get());
  UniqueFd attached(Bpf(BPF_ITER_CREATE, attr));
  if (!attached) return absl::ErrnoToStatus(errno, "starting a BPF program");
  return attached;
}

absl::StatusOr<UniqueFd> CreateMapOfOne(bpf_map_type type, uint32_t size) {
  bpf_attr attr = {};
  attr.map_type = type;
  attr.key_size = sizeof(uint32_t);
  attr.value_size = size;
  attr.max_entries = 1;
  UniqueFd map(Bpf(BPF_MAP_CREATE, attr));
  if (!map) return absl::ErrnoToStatus(errno, "creating a BPF map");
  return map;
}

}  // namespace

absl::StatusOr<UniqueFd> AttachBpfIterator(const UniqueFd& program, pid_t tid) {
  bpf_iter_link_info info = {};
  info.task.tid = static_cast<uint32_t>(tid);
  return Attach(program, info);
}

absl::StatusOr<UniqueFd> AttachBpfIteratorToProcess(const UniqueFd& program, pid_t pid) {
  bpf_iter_link_info info = {};
  info.task.pid = static_cast<uint32_t>(pid);
  return Attach(program, info);
}

absl::StatusOr<UniqueFd> CreateBpfScratch(uint32_t size) {
  return CreateMapOfOne(BPF_MAP_TYPE_ARRAY, size);
}

absl::StatusOr<UniqueFd> CreateBpfPerProcessor(uint32_t size) {
  return CreateMapOfOne(BPF_MAP_TYPE_PERCPU_ARRAY, size);
}

}  // namespace dumpctl
