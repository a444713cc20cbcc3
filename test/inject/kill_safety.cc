// Kills a dumper at many instants of a dump, and looks each time whether its target has noticed.
//
//   kill_safety BUSY-TARGET MEBIBYTES KILLS DUMPER [ARGUMENT]...
//
// with so much memory in the target, runs DUMPER ARGUMENT... -t PID -D DIR -R. First measures how
// long it takes undisturbed. Then kills it KILLS times, half of them spread over all of that time
// and half over the time in which it traces, and a quarter as often again just when a thread of the
// target is seen to run the dumper's code. Where wake-ups come late, and too few of these hit, it
// goes on with more of them.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "test/inject/busy_program.h"
#include "test/inject/task_trace.h"

namespace dumpctl {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPatience(5000);
// Part of the kills spread over the freeze that have to hit while the target is frozen: it may be
// short, and the run is long beside it.
constexpr double kWantedInside = 0.15;
// How many times as many kills may be made until enough have hit.
constexpr int kRounds = 3;

std::set<std::string> NamesIn(const std::string& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.insert(entry.path().filename());
  }
  return names;
}

bool IsTraced(pid_t pid) { return StatusField("/proc/" + std::to_string(pid), "TracerPid") != "0"; }

// A killed dumper may leave processes that put back what it could not: ours by then (see main).
// Waits until all of them have ended.
void WaitForOrphans(pid_t target) {
  const std::string path = "/proc/self/task/" + std::to_string(getpid()) + "/children";
  const auto deadline = steady_clock::now() + kPatience;
  for (bool left = true; left && steady_clock::now() < deadline; usleep(200)) {
    left = false;
    std::ifstream children(path);
    for (pid_t pid = 0; children >> pid;) {
      if (pid != target && waitpid(pid, nullptr, WNOHANG) == 0) left = true;
    }
  }
}

// One run of the dumper.
class Dumper {
 public:
  Dumper(const std::vector<std::string>& command, pid_t target, const std::string& directory) {
    std::vector<std::string> words = command;
    words.insert(words.end(), {"-t", std::to_string(target), "-D", directory, "-R"});
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      // What it has to tell of a dump that goes well.
      dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
      execv(argv[0], argv.data());
      _exit(127);
    }
  }

  // Kills it. False when it had ended before that.
  bool Kill() {
    kill(pid_, SIGKILL);
    return Join() == -SIGKILL;
  }
  bool HasEnded() const {
    siginfo_t info = {};
    return waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == pid_;
  }
  void WaitUntilTracing(pid_t target) const {
    while (!IsTraced(target) && !HasEnded()) usleep(100);
  }
  void WaitWhileTracing(pid_t target) const {
    const auto deadline = steady_clock::now() + kPatience * 4;
    while (IsTraced(target) && !HasEnded() && steady_clock::now() < deadline) usleep(200);
  }
  // Its exit status, or the negative number of the signal that ended it. Ends it when it hangs.
  int Join() {
    int status = 0;
    const auto deadline = steady_clock::now() + kPatience * 4;
    while (!HasEnded() && steady_clock::now() < deadline) usleep(200);
    kill(pid_, SIGKILL);
    waitpid(pid_, &status, 0);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  pid_t pid_;
};

microseconds Median(std::vector<microseconds> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Series {
  int wanted = 0;
  int kills = 0;
  int survived = 0;
  int inside = 0;   // of the freeze
  int foreign = 0;  // while a thread stood where the dumper's own code is

  Series& operator+=(const Series& more) {
    wanted += more.wanted;
    kills += more.kills;
    survived += more.survived;
    inside += more.inside;
    foreign += more.foreign;
    return *this;
  }
};

// What a kill waits for before the time that it waits.
enum class After { kStart, kTracing, kItsCode };

class Test {
 public:
  Test(std::string program, int mebibytes, std::vector<std::string> dumper)
      : program_(std::move(program)), mebibytes_(mebibytes), dumper_(std::move(dumper)) {
    char name[] = "/tmp/kill_safety.XXXXXX";
    directory_ = mkdtemp(name);
    images_ = directory_ + "/images";
    std::filesystem::create_directory(images_);
  }
  ~Test() {
    target_.reset();
    std::filesystem::remove_all(directory_);
  }

  // Exit status of the test.
  int Run(int kills) {
    if (!Measure()) return 1;
    Series all = KillOverWholeRun(kills - kills / 2);
    Series freeze;
    const auto inside = [&] { return freeze.inside >= kWantedInside * (kills / 2); };
    for (int i = 0; i < kRounds && !inside(); ++i) freeze += KillOverFreeze(kills / 2);
    all += freeze;
    const auto foreign = [&] { return all.foreign >= kills / 32; };
    all += KillInItsCode(kills / 4);
    for (int i = 1; i < kRounds && !foreign(); ++i) all += KillInItsCode(kills / 4);
    const bool alive = EndsWell();
    const bool enough = inside() && foreign();
    if (!enough) printf("too few kills hit where it matters: nothing is shown\n");
    return all.survived == all.wanted && enough && alive ? 0 : 1;
  }

 private:
  BusyProgram& target() {
    if (!target_) {
      target_ = std::make_unique<BusyProgram>(program_, directory_ + "/state", mebibytes_);
    }
    return *target_;
  }

  // One that was harmed shows nothing more.
  void ReplaceTarget() {
    target_.reset();
    // Another's images have other names.
    names_.clear();
  }

  // How long a dump takes, and which images it leaves.
  bool Measure() {
    std::vector<microseconds> whole, frozen;
    for (int i = 0; i < 7; ++i) {
      std::filesystem::remove(images_ + "/inventory.img");
      const auto start = steady_clock::now();
      Dumper dumper(dumper_, target().pid(), images_);
      dumper.WaitUntilTracing(target().pid());
      const auto begun = steady_clock::now();
      dumper.WaitWhileTracing(target().pid());
      const auto traced = steady_clock::now();
      const int status = dumper.Join();
      whole.push_back(std::chrono::duration_cast<microseconds>(steady_clock::now() - start));
      frozen.push_back(std::chrono::duration_cast<microseconds>(traced - begun));
      if (status != 0) {
        printf("an undisturbed dump fails: %d\n", status);
        return false;
      }
      if (const std::string complaint = target().Complaint(kPatience); !complaint.empty()) {
        printf("after an undisturbed dump: %s\n", complaint.c_str());
        ReplaceTarget();
        undisturbed_ = false;
      }
    }
    whole_ = Median(whole);
    frozen_ = Median(frozen);
    names_ = NamesIn(images_);
    printf("undisturbed: %ld us, %ld of them traced\n", whole_.count(), frozen_.count());
    return true;
  }

  Series KillOverWholeRun(int kills) {
    const Series series = KillOver(whole_, After::kStart, kills);
    Report("spread over the run", series);
    return series;
  }

  // The freeze is a small part of a run, and another one on a machine that is busy.
  Series KillOverFreeze(int kills) {
    const Series series = KillOver(frozen_, After::kTracing, kills);
    Report("spread over the freeze", series);
    return series;
  }

  Series KillOver(microseconds time, After after, int kills) {
    Series series{.wanted = kills};
    std::uniform_real_distribution<double> jitter(0, 1);
    for (int k = 0; k < kills; ++k) {
      const double part = (k + jitter(random_)) / kills;
      KillAround(microseconds(static_cast<long>(time.count() * part)), after, series);
    }
    return series;
  }

  Series KillInItsCode(int kills) {
    Series series{.wanted = kills};
    for (int k = 0; k < kills; ++k) {
      KillAround(microseconds(800) * k / kills, After::kItsCode, series);
    }
    Report("aimed at its code", series);
    return series;
  }

  // A run may be faster than the one that was measured: then a little earlier.
  void KillAround(microseconds wait, After after, Series& series) {
    for (int i = 0; i < 30 && !KillAfter(wait, after, series); ++i) wait = wait * 9 / 10;
  }

  // Runs the dumper and kills it `wait` after its start, or after it was seen to trace, or its code
  // to run. False when it has ended before.
  bool KillAfter(microseconds wait, After after, Series& series) {
    std::filesystem::remove(images_ + "/inventory.img");
    auto since = steady_clock::now();
    Dumper dumper(dumper_, target().pid(), images_);
    if (after == After::kTracing) dumper.WaitUntilTracing(target().pid());
    while (after == After::kItsCode && !dumper.HasEnded() && !StandsInVdso(target().pid())) {
    }
    if (after != After::kStart) since = steady_clock::now();
    std::this_thread::sleep_until(since + wait);
    // In this order: on a busy machine a dump may come to its end between two looks.
    const bool committed = NamesIn(images_).contains("inventory.img");
    const bool traced = IsTraced(target().pid());
    const bool foreign = traced && StandsInVdso(target().pid());
    if (!dumper.Kill()) return false;
    WaitForOrphans(target().pid());
    ++series.kills;
    if (traced) ++series.inside;
    if (foreign) ++series.foreign;
    std::string complaint = ImagesComplaint(committed && traced);
    if (complaint.empty()) complaint = target().Complaint(kPatience);
    if (complaint.empty()) {
      ++series.survived;
    } else {
      constexpr const char* kAfter[] = {"its start", "it traced", "its code was seen"};
      printf("killed %ld us after %s%s: %s\n", wait.count(), kAfter[static_cast<int>(after)],
             traced ? ", while it traced" : "", complaint.c_str());
      ReplaceTarget();
    }
    return true;
  }

  // A directory with an inventory is a whole dump.
  std::string ImagesComplaint(bool too_early) const {
    const std::set<std::string> names = NamesIn(images_);
    if (!names.contains("inventory.img")) return "";
    if (too_early) return "there is an inventory before the dump was over";
    for (const std::string& name : names_) {
      if (name.ends_with(".img") && !names.contains(name)) return "half a dump, without " + name;
    }
    return "";
  }

  static void Report(const char* how, const Series& series) {
    printf("%d kills, survived %d, inside freeze %d, in the dumper's code %d (%s)\n", series.kills,
           series.survived, series.inside, series.foreign, how);
  }

  // After all of it: it can be dumped, nothing of the killed dumps is left, and its poll ends.
  bool EndsWell() {
    std::string complaint;
    if (const int status = Dumper(dumper_, target().pid(), images_).Join(); status != 0) {
      complaint = "the last dump fails: " + std::to_string(status);
    }
    if (complaint.empty() && !names_.empty() && NamesIn(images_) != names_) {
      complaint = "killed dumps left files";
    }
    if (complaint.empty()) complaint = target().Complaint(kPatience);
    if (complaint.empty()) complaint = target().WakeComplaint(kPatience);
    if (!complaint.empty()) printf("at the end: %s\n", complaint.c_str());
    return complaint.empty() && undisturbed_;
  }

  std::string program_;
  int mebibytes_;
  std::vector<std::string> dumper_;
  std::string directory_;
  std::string images_;
  std::unique_ptr<BusyProgram> target_;
  std::set<std::string> names_;
  microseconds whole_{0};
  microseconds frozen_{0};
  bool undisturbed_ = true;
  std::mt19937 random_{1};
};

}  // namespace
}  // namespace dumpctl

int main(int argc, char** argv) {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  if (argc < 5) {
    fprintf(stderr, "usage: %s BUSY-TARGET MEBIBYTES KILLS DUMPER [ARGUMENT]...\n", argv[0]);
    return 2;
  }
  return dumpctl::Test(argv[1], atoi(argv[2]), std::vector<std::string>(argv + 4, argv + argc))
      .Run(atoi(argv[3]));
}
