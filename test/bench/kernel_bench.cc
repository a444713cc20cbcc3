// What the kernel alone takes here for what no dump can do without, in the sizes of scripts/bench:
// the start of a program, page cache for 1 GiB, a copy of 1 GiB or 4 GiB by fork(2), the 15 files
// of a small dump and one for each of 300 threads, their stop and their going on, the steps that a
// task is led through, what procfs tells of it, and the looks at page tables of memory that is
// sparse. Files are made in the work directory, and are removed.

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/elf.h>
#include <linux/fs.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "dumpctl/kernel_abi.h"

namespace dumpctl {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kMebibyte = 1 << 20;
constexpr size_t kGibibyte = 1 << 30;

// What has failed means nothing.
long Must(long result, const char* what) {
  if (result >= 0) return result;
  perror(what);
  std::exit(2);
}

class Memory {
 public:
  explicit Memory(size_t size) : size_(size) {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    start_ = static_cast<char*>(mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, -1, 0));
    if (start_ == MAP_FAILED) Must(-1, "mmap");
    Must(madvise(start_, size, MADV_NOHUGEPAGE), "madvise");
  }
  ~Memory() { munmap(start_, size_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  void WriteEach(size_t step) {
    for (size_t at = 0; at < size_; at += step) start_[at] = 1;
  }
  char* start() const { return start_; }
  size_t size() const { return size_; }

 private:
  size_t size_;
  char* start_;
};

std::string MakeDirectory(std::string path) {
  path += "XXXXXX";
  if (mkdtemp(path.data()) == nullptr) Must(-1, "mkdtemp");
  return path;
}

// Directories in it are spread over the disk (chattr(1), T): ext4 without a journal looks at each
// inode of the same part that was freed in the last minutes before it takes another one.
class Directories {
 public:
  Directories() : top_(MakeDirectory("kernel_bench-")) {
    const int top = open(top_.c_str(), O_RDONLY | O_DIRECTORY);
    int flags = FS_TOPDIR_FL;
    ioctl(top, FS_IOC_SETFLAGS, &flags);  // not every filesystem has it
    close(top);
  }
  ~Directories() { std::filesystem::remove_all(top_); }
  Directories(const Directories&) = delete;
  Directories& operator=(const Directories&) = delete;

  std::string Make() const { return MakeDirectory(top_ + "/"); }

 private:
  std::string top_;
};

int Create(const std::string& path) {
  return static_cast<int>(Must(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600), "open"));
}

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// An empty, static program.
void BM_Start(benchmark::State& state) {
  char program[] = DUMPCTL_NOTHING;
  char* argv[] = {program, nullptr};
  for (auto _ : state) {
    pid_t pid;
    int status;
    if (posix_spawn(&pid, program, nullptr, nullptr, argv, environ) != 0) Must(-1, program);
    Must(waitpid(pid, &status, 0), "waitpid");
  }
}

// From memory of the same size, a page after the other, and from what is in the processor's cache.
void BM_PageCache(benchmark::State& state) {
  Memory memory(static_cast<size_t>(state.range(0)) * kMebibyte);
  memory.WriteEach(kPage);
  const Directories directories;
  const int file = Create(directories.Make() + "/pages");
  for (auto _ : state) {
    for (size_t at = 0; at < kGibibyte; at += 2 * kMebibyte) {
      Must(write(file, memory.start() + at % memory.size(), 2 * kMebibyte), "write");
    }
    state.PauseTiming();
    Must(ftruncate(file, 0), "ftruncate");
    Must(lseek(file, 0, SEEK_SET), "lseek");
    state.ResumeTiming();
  }
  close(file);
}

// How long whoever forks stands still.
void BM_Fork(benchmark::State& state) {
  Memory memory(static_cast<size_t>(state.range(0)) * kGibibyte);
  memory.WriteEach(kPage);
  for (auto _ : state) {
    const Stopwatch watch;
    const pid_t pid = fork();
    if (pid == 0) _exit(0);
    state.SetIterationTime(watch.seconds());
    Must(pid, "fork");
    Must(waitpid(pid, nullptr, 0), "waitpid");
    memory.WriteEach(kPage);
  }
}

void BM_Files(benchmark::State& state) {
  const std::string content(1200, 'x');
  const Directories directories;
  for (auto _ : state) {
    state.PauseTiming();
    const std::string directory = directories.Make();
    state.ResumeTiming();
    for (int64_t i = 0; i < state.range(0); ++i) {
      const int file = Create(directory + "/core-" + std::to_string(i) + ".img");
      Must(write(file, content.data(), content.size()), "write");
      close(file);
    }
  }
}

// A child with so many threads besides its first one, which all sleep.
class Sleepers {
 public:
  explicit Sleepers(int64_t count) {
    int ready[2];
    Must(pipe(ready), "pipe");
    pid_ = static_cast<pid_t>(Must(fork(), "fork"));
    if (pid_ == 0) {
      std::vector<std::thread> threads;
      for (int64_t i = 0; i < count; ++i) {
        threads.emplace_back([] {
          for (;;) pause();
        });
      }
      Must(write(ready[1], "", 1), "write");
      for (;;) pause();
    }
    char byte;
    Must(read(ready[0], &byte, 1), "read");
    close(ready[0]);
    close(ready[1]);
    for (const auto& entry : std::filesystem::directory_iterator(directory() + "/task")) {
      tids_.push_back(std::stoi(entry.path().filename()));
    }
  }
  ~Sleepers() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Sleepers(const Sleepers&) = delete;
  Sleepers& operator=(const Sleepers&) = delete;

  std::string directory() const { return "/proc/" + std::to_string(pid_); }
  const std::vector<pid_t>& tids() const { return tids_; }

 private:
  pid_t pid_;
  std::vector<pid_t> tids_;
};

void WaitForStop(pid_t tid) {
  siginfo_t info;
  Must(waitid(P_PID, static_cast<id_t>(tid), &info, WSTOPPED | __WALL), "waitid");
}

// Seized, stopped, asked for their registers, and let go.
void BM_Threads(benchmark::State& state) {
  const Sleepers sleepers(state.range(0));
  const std::vector<pid_t>& tids = sleepers.tids();
  for (auto _ : state) {
    for (const pid_t tid : tids) Must(ptrace(PTRACE_SEIZE, tid, 0, 0), "PTRACE_SEIZE");
    for (const pid_t tid : tids) Must(ptrace(PTRACE_INTERRUPT, tid, 0, 0), "PTRACE_INTERRUPT");
    for (const pid_t tid : tids) {
      char registers[4096];
      iovec vector = {registers, sizeof registers};
      WaitForStop(tid);
      Must(ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &vector), "PTRACE_GETREGSET");
    }
    for (const pid_t tid : tids) Must(ptrace(PTRACE_DETACH, tid, 0, 0), "PTRACE_DETACH");
  }
}

// Let go to its next stop, and waited for, so many times.
void BM_Stops(benchmark::State& state) {
  const auto child = static_cast<pid_t>(Must(fork(), "fork"));
  if (child == 0) {
    for (;;) getppid();
  }
  Must(ptrace(PTRACE_SEIZE, child, 0, 0), "PTRACE_SEIZE");
  Must(ptrace(PTRACE_INTERRUPT, child, 0, 0), "PTRACE_INTERRUPT");
  WaitForStop(child);
  for (auto _ : state) {
    for (int64_t i = 0; i < state.range(0); ++i) {
      Must(ptrace(PTRACE_SYSCALL, child, 0, 0), "PTRACE_SYSCALL");
      WaitForStop(child);
    }
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

void ReadToItsEnd(const std::string& path) {
  const int file = static_cast<int>(Must(open(path.c_str(), O_RDONLY), path.c_str()));
  char text[16384];
  while (Must(read(file, text, sizeof text), path.c_str()) > 0) continue;
  close(file);
}

// What procfs alone tells of a process with so many threads besides its first one, and with three
// descriptors, each file and link once.
void BM_ProcFiles(benchmark::State& state) {
  const Sleepers sleepers(state.range(0));
  const std::string process = sleepers.directory() + "/";
  std::vector<std::string> files;
  for (const char* name : {"smaps", "stat", "auxv", "timers", "limits", "oom_score_adj", "loginuid",
                           "timens_offsets", "fdinfo/0", "fdinfo/1", "fdinfo/2"}) {
    files.push_back(process + name);
  }
  for (const pid_t tid : sleepers.tids()) {
    for (const char* name : {"status", "cgroup", "children"}) {
      files.push_back(process + "task/" + std::to_string(tid) + "/" + name);
    }
  }
  std::vector<std::string> links;
  for (const char* name : {"exe", "cwd", "root", "fd/0", "fd/1", "fd/2", "ns/pid", "ns/net",
                           "ns/ipc", "ns/uts", "ns/mnt", "ns/user", "ns/cgroup", "ns/time"}) {
    links.push_back(process + name);
  }
  for (auto _ : state) {
    for (const std::string& path : files) ReadToItsEnd(path);
    char target[PATH_MAX];
    for (const std::string& path : links) {
      Must(readlink(path.c_str(), target, sizeof target), path.c_str());
    }
  }
}

// A page in each 64 MiB: see bench_target.c.
void BM_Sparse(benchmark::State& state) {
  Memory memory(static_cast<size_t>(state.range(0)) * kGibibyte);
  memory.WriteEach(64 * kMebibyte);
  const int pagemap = static_cast<int>(Must(open("/proc/self/pagemap", O_RDONLY), "pagemap"));
  std::vector<abi::PageRegion> regions(4096);
  const auto start = reinterpret_cast<uint64_t>(memory.start());
  for (auto _ : state) {
    abi::PmScanArg arg = {.size = sizeof arg,
                          .start = start,
                          .end = start + memory.size(),
                          .vec = reinterpret_cast<uint64_t>(regions.data()),
                          .vec_len = regions.size(),
                          .category_mask = abi::kPageIsPresent,
                          .return_mask = abi::kPageIsPresent};
    Must(ioctl(pagemap, abi::kPagemapScan, &arg), "PAGEMAP_SCAN");
  }
  close(pagemap);
}

void BM_SparseRead(benchmark::State& state) {
  Memory memory(static_cast<size_t>(state.range(0)) * kGibibyte);
  memory.WriteEach(64 * kMebibyte);
  std::vector<iovec> pages;
  for (size_t at = 0; at < memory.size(); at += 64 * kMebibyte) {
    pages.push_back({memory.start() + at, kPage});
  }
  std::vector<char> buffer(pages.size() * kPage);
  for (auto _ : state) {
    for (size_t i = 0; i < pages.size(); i += IOV_MAX) {
      const size_t count = std::min<size_t>(IOV_MAX, pages.size() - i);
      const iovec into = {buffer.data(), count * kPage};
      Must(process_vm_readv(getpid(), &into, 1, &pages[i], count, 0), "process_vm_readv");
    }
  }
}

// The flags of mappings stand nowhere else.
void BM_SparseFlags(benchmark::State& state) {
  Memory memory(static_cast<size_t>(state.range(0)) * kGibibyte);
  memory.WriteEach(64 * kMebibyte);
  for (auto _ : state) ReadToItsEnd("/proc/self/smaps");
}

void Repeated(benchmark::internal::Benchmark* bench, int64_t size, int iterations) {
  bench->Arg(size)->Iterations(iterations)->Repetitions(5)->ReportAggregatesOnly();
  bench->Unit(benchmark::kMillisecond)->UseRealTime();
}

BENCHMARK(BM_Start)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->Iterations(100)
    ->Repetitions(5)
    ->ReportAggregatesOnly();
BENCHMARK(BM_PageCache)->Apply([](auto* bench) { Repeated(bench, 2, 3); });
BENCHMARK(BM_PageCache)->Apply([](auto* bench) { Repeated(bench, 1024, 3); });
BENCHMARK(BM_Fork)->Apply([](auto* bench) {
  for (const int gibibytes : {1, 4}) bench->Arg(gibibytes);
  bench->Iterations(3)->Repetitions(5)->ReportAggregatesOnly();
  bench->Unit(benchmark::kMillisecond)->UseManualTime();
});
BENCHMARK(BM_Files)->Apply([](auto* bench) { Repeated(bench, 15, 50); });
BENCHMARK(BM_Files)->Apply([](auto* bench) { Repeated(bench, 300, 5); });
BENCHMARK(BM_Threads)->Apply([](auto* bench) { Repeated(bench, 1, 100); });
BENCHMARK(BM_Threads)->Apply([](auto* bench) { Repeated(bench, 300, 10); });
BENCHMARK(BM_Stops)->Apply([](auto* bench) { Repeated(bench, 6, 100); });
BENCHMARK(BM_ProcFiles)->Apply([](auto* bench) { Repeated(bench, 1, 100); });
BENCHMARK(BM_Sparse)->Apply([](auto* bench) { Repeated(bench, 100, 10); });
BENCHMARK(BM_SparseRead)->Apply([](auto* bench) { Repeated(bench, 100, 10); });
BENCHMARK(BM_SparseFlags)->Apply([](auto* bench) { Repeated(bench, 100, 10); });

}  // namespace
}  // namespace dumpctl
