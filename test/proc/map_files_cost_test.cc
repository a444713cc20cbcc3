// What borrowing saves, counted by strace from outside and not by our own counters: opens and stats
// under map_files against one of each per VMA of a file.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace {

// A program to look at, told to go by the end of its standard input.
class Program {
 public:
  // `command` prints a line once it stands as it shall be looked at.
  explicit Program(const std::string& command) {
    int in[2];
    int out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) abort();
    pid_ = fork();
    if (pid_ == 0) {
      dup2(in[0], 0);
      dup2(out[1], 1);
      execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      _exit(127);
    }
    close(in[0]);
    close(out[1]);
    in_ = in[1];
    out_ = out[0];
    char ready = 0;
    ready_ = read(out_, &ready, 1) == 1;
  }
  ~Program() {
    close(in_);
    // Not before: an unbuffered writer may still be at the end of its line.
    close(out_);
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }
  bool ready() const { return ready_; }

 private:
  pid_t pid_ = -1;
  int in_ = -1;
  int out_ = -1;
  bool ready_ = false;
};

struct Cost {
  size_t file_vmas = 0;
  size_t opens = 0;
  size_t stats = 0;
};

// The number behind `name=` in the tool's own report.
size_t Reported(const std::string& report, const std::string& name) {
  const size_t at = report.find(name + "=");
  return at == std::string::npos ? 0 : std::stoul(report.substr(at + name.size() + 1));
}

// Counts, in strace's output, what was opened under map_files and every stat of such a descriptor.
Cost CountCalls(const std::string& trace) {
  Cost cost;
  std::set<int> opened;
  std::ifstream in(trace);
  for (std::string line; std::getline(in, line);) {
    const size_t open_call = line.find("openat(");
    if (open_call != std::string::npos) {
      const size_t result = line.rfind(" = ");
      if (line.find("\"map_files/") == std::string::npos || result == std::string::npos) continue;
      ++cost.opens;
      opened.insert(std::stoi(line.substr(result + 3)));
      continue;
    }
    for (const std::string call : {" fstat(", " newfstatat(", " statx(", " fstatfs("}) {
      const size_t at = line.find(call);
      if (at == std::string::npos) continue;
      const std::string argument = line.substr(at + call.size());
      const bool by_path = line.find("map_files") != std::string::npos;
      if (by_path || opened.count(atoi(argument.c_str())) != 0) ++cost.stats;
    }
  }
  return cost;
}

// Runs the tool on these tasks under strace.
Cost Measure(const std::vector<pid_t>& pids) {
  std::string trace = "/tmp/map_files_cost.XXXXXX";
  const int file = mkstemp(trace.data());
  if (file < 0) abort();
  close(file);
  // Where the tool is built with it, the leak sanitizer would want to trace what strace traces.
  std::string command = "ASAN_OPTIONS=detect_leaks=0 strace -f -o " + trace +
                        " -e trace=openat,fstat,newfstatat,statx,fstatfs " VMA_LIST_TOOL;
  for (const pid_t pid : pids) command += " " + std::to_string(pid);
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  char buffer[512] = {};
  const std::string report = fgets(buffer, sizeof buffer, pipe.get()) ? buffer : "";
  EXPECT_EQ(pclose(pipe.release()), 0) << command;
  Cost cost = CountCalls(trace);
  unlink(trace.c_str());
  cost.file_vmas = Reported(report, "file_vmas");
  EXPECT_EQ(cost.opens, Reported(report, "opens")) << report;
  EXPECT_EQ(cost.stats, Reported(report, "stats")) << report;
  EXPECT_EQ(cost.opens, Reported(report, "closed")) << report;
  EXPECT_EQ(cost.file_vmas, Reported(report, "closed") + Reported(report, "skipped")) << report;
  printf("%zu VMAs of files: %zu opens, %zu stats (one per VMA: %zu + %zu)\n", cost.file_vmas,
         cost.opens, cost.stats, cost.file_vmas, cost.file_vmas);
  return cost;
}

constexpr char kPython[] =
    "exec /usr/bin/python3 -c 'import ssl, json, ctypes, sqlite3, lzma, bz2, decimal, asyncio, "
    "sys\n"
    "print(1, flush=True); sys.stdin.read()'";

// A real program: what the dynamic linker maps, each library in several permissions.
TEST(MapFilesCostTest, PythonCostsAtMostAThirdOfOnePerVma) {
  const Program python(kPython);
  ASSERT_TRUE(python.ready()) << "python3 did not start";
  const Cost cost = Measure({python.pid()});
  ASSERT_GT(cost.file_vmas, 50u);
  EXPECT_GT(cost.opens, 0u);
  EXPECT_LE((cost.opens + cost.stats) * 3, 2 * cost.file_vmas);
}

// The worst case for one open per VMA: a single file in many pieces.
TEST(MapFilesCostTest, AFileInAThousandPiecesIsOpenedOnce) {
  const long page = sysconf(_SC_PAGESIZE);
  constexpr int kPages = 1000;
  std::string name = "/tmp/map_files_cost.XXXXXX";
  const int file = mkstemp(name.data());
  ASSERT_GE(file, 0);
  unlink(name.c_str());
  ASSERT_EQ(ftruncate(file, kPages * page), 0);
  auto* at = static_cast<char*>(mmap(nullptr, kPages * page, PROT_READ, MAP_PRIVATE, file, 0));
  ASSERT_NE(at, MAP_FAILED);
  for (int i = 0; i < kPages; i += 2) ASSERT_EQ(mprotect(at + i * page, page, PROT_NONE), 0);
  const Cost cost = Measure({getpid()});
  munmap(at, kPages * page);
  close(file);
  EXPECT_GT(cost.file_vmas, static_cast<size_t>(kPages));
  EXPECT_LT(cost.opens, 30u);
}

// Tasks of one tree map the same files: the second costs next to nothing.
TEST(MapFilesCostTest, ATreeOpensEachFileOnce) {
  const Program one(kPython);
  const Program two(kPython);
  const Program three(kPython);
  ASSERT_TRUE(one.ready() && two.ready() && three.ready());
  const Cost single = Measure({one.pid()});
  const Cost tree = Measure({one.pid(), two.pid(), three.pid()});
  EXPECT_GT(tree.file_vmas, 2 * single.file_vmas);
  EXPECT_LE(tree.opens, single.opens);
  EXPECT_LE((tree.opens + tree.stats) * 9, 2 * tree.file_vmas);
}

}  // namespace
