#include "proc/bpf_threads.h"

#include <sched.h>
#include <signal.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "dumpctl/status_macros.h"
#include "proc/bpf_assembler.h"
#include "proc/bpf_program.h"
#include "proc/btf_parser.h"
#include "proc/kept_layout.h"

namespace dumpctl {
namespace {

constexpr size_t kCommSize = 16;  // TASK_COMM_LEN

// What the program hands out of each thread; one of zeros when all have been told of. Each field
// takes up a word, of which some fill the lower part: this machine has its lowest byte first.
struct KernelThread {
  uint64_t tid;  // 32 bits
  uint64_t address;
  uint64_t first_child;  // the address of task_struct.children where there is none
  std::array<char, kCommSize> comm;
  uint64_t atomic_flags;
  std::array<uint64_t, 3> tls;
  uint64_t seccomp_mode;  // 32 bits
  uint64_t pending;
  uint64_t robust_list;
  uint64_t policy;             // 32 bits
  uint64_t static_priority;    // 32 bits
  uint64_t realtime_priority;  // 32 bits
  uint64_t altstack_base;
  uint64_t altstack_size;
  uint64_t altstack_flags;  // 32 bits
  uint64_t clear_child_tid;
  uint64_t pdeath_signal;  // 32 bits
  uint64_t securebits;     // 32 bits
  uint64_t credentials;
  uint64_t cgroups;
};

// Where the running kernel keeps what the program reads, in bytes.
struct ThreadLayout {
  uint32_t function = 0;  // BTF id of the iterator's attach point
  BpfContextLayout context;
  uint32_t context_task = 0;
  uint32_t thread_pid = 0;
  uint32_t pid_level = 0;
  uint32_t pid_numbers = 0;
  uint32_t number = 0;
  uint32_t number_namespace = 0;
  uint32_t children = 0;
  uint32_t comm = 0;
  uint32_t atomic_flags = 0;
  uint32_t thread = 0;
  uint32_t thread_tls = 0;
  uint32_t seccomp = 0;
  uint32_t seccomp_mode = 0;
  uint32_t pending = 0;
  uint32_t pending_signal = 0;
  uint32_t robust_list = 0;
  uint32_t policy = 0;
  uint32_t static_priority = 0;
  uint32_t realtime_priority = 0;
  uint32_t altstack_base = 0;
  uint32_t altstack_size = 0;
  uint32_t altstack_flags = 0;
  uint32_t clear_child_tid = 0;
  uint32_t pdeath_signal = 0;
  uint32_t credentials = 0;
  uint32_t securebits = 0;
  uint32_t cgroups = 0;
};

absl::StatusOr<ThreadLayout> FindThreadLayout(std::string_view bytes) {
  ASSIGN_OR_RETURN(Btf btf, Btf::Parse(bytes));
  constexpr BtfName kNames[] = {{BtfKind::kStruct, "upid"}};
  ASSIGN_OR_RETURN(const BpfIterator iterator, FindBpfIterator(btf, "task", kNames));
  const BtfType& number = iterator.others[0];
  BtfType task, pid, thread, seccomp, pending, cred;
  const BtfPart parts[] = {
      {&task, iterator.context, "task"}, {&pid, task, "thread_pid"},  {&thread, task, "thread"},
      {&seccomp, task, "seccomp"},       {&pending, task, "pending"}, {&cred, task, "real_cred"},
  };
  RETURN_IF_ERROR(FindParts(btf, parts));
  ThreadLayout layout = {.function = iterator.function, .context = iterator.layout};
  const BtfField fields[] = {
      {&layout.context_task, iterator.context, "task"},
      {&layout.thread_pid, task, "thread_pid"},
      {&layout.pid_level, pid, "level"},
      {&layout.pid_numbers, pid, "numbers"},
      {&layout.number, number, "nr"},
      {&layout.number_namespace, number, "ns"},
      {&layout.children, task, "children"},
      {&layout.comm, task, "comm"},
      {&layout.atomic_flags, task, "atomic_flags"},
      {&layout.thread, task, "thread"},
      {&layout.thread_tls, thread, "tls_array"},
      {&layout.seccomp, task, "seccomp"},
      {&layout.seccomp_mode, seccomp, "mode"},
      {&layout.pending, task, "pending"},
      {&layout.pending_signal, pending, "signal"},
      {&layout.robust_list, task, "robust_list"},
      {&layout.policy, task, "policy"},
      {&layout.static_priority, task, "static_prio"},
      {&layout.realtime_priority, task, "rt_priority"},
      {&layout.altstack_base, task, "sas_ss_sp"},
      {&layout.altstack_size, task, "sas_ss_size"},
      {&layout.altstack_flags, task, "sas_ss_flags"},
      {&layout.clear_child_tid, task, "clear_child_tid"},
      {&layout.pdeath_signal, task, "pdeath_signal"},
      // What others see of a thread, as status of procfs has it.
      {&layout.credentials, task, "real_cred"},
      {&layout.securebits, cred, "securebits"},
      {&layout.cgroups, task, "cgroups"},
  };
  RETURN_IF_ERROR(FindFields(btf, fields));
  // So that the numbers of a thread in its namespaces lie 16 bytes apart.
  if (layout.number != 0 || layout.number_namespace != sizeof(uint64_t)) {
    return absl::NotFoundError("this kernel's pids are of another form");
  }
  return layout;
}

// A member of KernelThread: where the program puts something, and how much.
#define PLACE(member) offsetof(KernelThread, member), sizeof(KernelThread::member)
// The same of 32 bits.
#define HALF_PLACE(member) offsetof(KernelThread, member), sizeof(uint32_t)

// Puts the program together.
class ThreadAssembler : BpfStackAssembler<KernelThread> {
 public:
  static std::vector<bpf_insn> Write(const ThreadLayout& layout) {
    ThreadAssembler program;
    program.Add(bpf::Copy(kContext, BPF_REG_1));
    program.Clear();
    program.Add(bpf::Load64(kTask, kContext, layout.context_task));
    // Once more, when all have been told of.
    program.EndIfZero(kTask);
    // First, so that a record without is the last. From where it stands, for the address itself is
    // no number to a program.
    program.FetchField(PLACE(address), kContext, layout.context_task);
    program.FillNumber(layout);
    program.FillFromTask(layout);
    program.EndHere();
    program.HandOut(layout.context, kContext, BPF_REG_10, kRecord, sizeof(KernelThread));
    return std::move(program).Finish();
  }

 private:
  // Registers that calls leave alone.
  static constexpr uint8_t kPointed = BPF_REG_6;
  static constexpr uint8_t kLevel = BPF_REG_7;
  static constexpr uint8_t kTask = BPF_REG_8;
  static constexpr uint8_t kContext = BPF_REG_9;

  // The number that the thread has where the reader is: at the reader's depth of namespaces.
  void FillNumber(const ThreadLayout& layout) {
    Add(bpf::Call(BPF_FUNC_get_current_task));
    Add(bpf::Copy(kPointed, BPF_REG_0));
    FetchPointer(kPointed, kPointed, layout.thread_pid);
    Fetch(BPF_REG_10, kPointer, sizeof(uint32_t), kPointed, layout.pid_level);
    Add(bpf::Load32(kLevel, BPF_REG_10, static_cast<uint32_t>(kPointer)));
    Add(bpf::ShiftLeft(kLevel, 4));
    FetchPointer(kPointed, kTask, layout.thread_pid);
    Add(bpf::Copy(BPF_REG_3, kPointed));
    Add(bpf::AddRegister(BPF_REG_3, kLevel));
    Add(bpf::Add(BPF_REG_3, static_cast<int>(layout.pid_numbers)));
    FetchAt3(BPF_REG_10, kRecord + static_cast<int>(offsetof(KernelThread, tid)), sizeof(uint32_t));
  }

  void FillFromTask(const ThreadLayout& layout) {
    FetchField(PLACE(first_child), kTask, layout.children);
    FetchField(PLACE(comm), kTask, layout.comm);
    FetchField(PLACE(atomic_flags), kTask, layout.atomic_flags);
    FetchField(PLACE(tls), kTask, layout.thread + layout.thread_tls);
    FetchField(HALF_PLACE(seccomp_mode), kTask, layout.seccomp + layout.seccomp_mode);
    FetchField(PLACE(pending), kTask, layout.pending + layout.pending_signal);
    FetchField(PLACE(robust_list), kTask, layout.robust_list);
    FetchField(HALF_PLACE(policy), kTask, layout.policy);
    FetchField(HALF_PLACE(static_priority), kTask, layout.static_priority);
    FetchField(HALF_PLACE(realtime_priority), kTask, layout.realtime_priority);
    FetchField(PLACE(altstack_base), kTask, layout.altstack_base);
    FetchField(PLACE(altstack_size), kTask, layout.altstack_size);
    FetchField(HALF_PLACE(altstack_flags), kTask, layout.altstack_flags);
    FetchField(PLACE(clear_child_tid), kTask, layout.clear_child_tid);
    FetchField(HALF_PLACE(pdeath_signal), kTask, layout.pdeath_signal);
    FetchField(PLACE(cgroups), kTask, layout.cgroups);
    FetchField(PLACE(credentials), kTask, layout.credentials);
    FetchPointer(kPointed, kTask, layout.credentials);
    FetchField(HALF_PLACE(securebits), kPointed, layout.securebits);
  }
};
#undef HALF_PLACE
#undef PLACE

// sched_getattr(2) tells the nice value of those alone that it applies to.
void FillScheduling(const KernelThread& thread, ThreadRow& row) {
  constexpr int kNiceZero = 120;  // of static priorities
  row.policy = static_cast<uint32_t>(thread.policy);
  if (row.policy == SCHED_FIFO || row.policy == SCHED_RR) {
    row.priority = static_cast<uint32_t>(thread.realtime_priority);
  } else {
    row.nice = static_cast<int32_t>(thread.static_priority) - kNiceZero;
  }
}

void FillAltstack(const KernelThread& thread, ThreadRow& row) {
  constexpr uint32_t kAutodisarm = uint32_t{1} << 31;  // SS_AUTODISARM, which libc has not
  row.altstack_base = thread.altstack_base;
  row.altstack_size = thread.altstack_size;
  row.altstack_flags = static_cast<uint32_t>(thread.altstack_flags) & kAutodisarm;
  if (row.altstack_size == 0) row.altstack_flags |= SS_DISABLE;
}

ThreadRow RowOf(const KernelThread& thread, uint32_t children) {
  constexpr uint64_t kNoNewPrivs = 1;  // PFA_NO_NEW_PRIVS is bit 0
  ThreadRow row = {.tid = static_cast<pid_t>(thread.tid)};
  row.comm.assign(thread.comm.data(), strnlen(thread.comm.data(), thread.comm.size()));
  row.has_children = thread.first_child != thread.address + children;
  row.no_new_privs = (thread.atomic_flags & kNoNewPrivs) != 0;
  for (const uint64_t descriptor : thread.tls) row.has_tls |= descriptor != 0;
  row.seccomp_mode = static_cast<uint32_t>(thread.seccomp_mode);
  row.pending = thread.pending;
  row.robust_list = thread.robust_list;
  FillScheduling(thread, row);
  FillAltstack(thread, row);
  row.clear_child_tid = thread.clear_child_tid;
  row.pdeath_signal = static_cast<uint32_t>(thread.pdeath_signal);
  row.securebits = static_cast<uint32_t>(thread.securebits);
  row.credentials = thread.credentials;
  row.cgroups = thread.cgroups;
  return row;
}

}  // namespace

absl::StatusOr<BpfThreads> BpfThreads::Load() {
  ASSIGN_OR_RETURN(const ThreadLayout layout, KeptLayout("threads", FindThreadLayout));
  ASSIGN_OR_RETURN(UniqueFd loaded,
                   LoadBpfIterator(layout.function, ThreadAssembler::Write(layout)));
  return BpfThreads(std::move(loaded), layout.children);
}

absl::StatusOr<std::vector<ThreadRow>> BpfThreads::Read(pid_t pid) const {
  ASSIGN_OR_RETURN(const UniqueFd attached, AttachBpfIteratorToProcess(program_, pid));
  std::vector<ThreadRow> rows;
  absl::flat_hash_set<pid_t> known;
  const auto take = [&](std::string_view bytes) -> absl::StatusOr<bool> {
    KernelThread thread;
    std::memcpy(&thread, bytes.data(), sizeof thread);
    // What ends meanwhile has no number any more.
    if (thread.credentials == 0) return thread.address != 0;
    // The kernel may start over behind the last one: see BpfVmaIterator.
    if (!known.insert(static_cast<pid_t>(thread.tid)).second) return false;
    rows.push_back(RowOf(thread, children_));
    return true;
  };
  RETURN_IF_ERROR(ReadBpfRecords(attached, sizeof(KernelThread), take));
  return rows;
}

}  // namespace dumpctl
