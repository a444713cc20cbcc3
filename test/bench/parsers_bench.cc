// What the parsers cost, on text as Linux 6.18 prints it: bytes and entries per second.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "proc/fdinfo_parser.h"
#include "proc/mountinfo_parser.h"
#include "proc/smaps_parser.h"
#include "proc/stat_parser.h"
#include "proc/status_parser.h"

namespace dumpctl {
namespace {

// Every second mapping is one of a file, as in a program with many libraries.
std::string MapsLine(int64_t i) {
  const uint64_t start = 0x7f0000000000 + static_cast<uint64_t>(i) * 0x2000;
  if (i % 2 == 0) {
    return absl::StrFormat("%x-%x rw-p 00000000 00:00 0 \n", start, start + 0x1000);
  }
  return absl::StrFormat(
      "%x-%x r--p 00026000 fe:00 332835                     "
      "/usr/lib/x86_64-linux-gnu/libc.so.6\n",
      start, start + 0x1000);
}

std::string MapsText(int64_t count) {
  std::string text;
  for (int64_t i = 0; i < count; ++i) absl::StrAppend(&text, MapsLine(i));
  return text;
}

std::string SmapsText(int64_t count) {
  std::string text;
  for (int64_t i = 0; i < count; ++i) {
    absl::StrAppend(&text, MapsLine(i));
    for (const char* field :
         {"Size",          "KernelPageSize", "MMUPageSize",     "Rss",
          "Pss",           "Pss_Dirty",      "Shared_Clean",    "Shared_Dirty",
          "Private_Clean", "Private_Dirty",  "Referenced",      "Anonymous",
          "KSM",           "LazyFree",       "AnonHugePages",   "ShmemPmdMapped",
          "FilePmdMapped", "Shared_Hugetlb", "Private_Hugetlb", "Swap",
          "SwapPss",       "Locked"}) {
      absl::StrAppendFormat(&text, "%-16s%8d kB\n", absl::StrCat(field, ":"), 4);
    }
    absl::StrAppend(&text, "THPeligible:           0\n", "VmFlags: rd wr mr mw me ac sd \n");
  }
  return text;
}

std::string MountinfoText(int64_t count) {
  std::string text;
  for (int64_t i = 0; i < count; ++i) {
    absl::StrAppendFormat(&text,
                          "%d 22 0:%d / /run/user/%d rw,nosuid,nodev,relatime shared:%d - tmpfs "
                          "tmpfs rw,size=2451208k,nr_inodes=612802,mode=700,inode64\n",
                          30 + i, 40 + i, i, 100 + i);
  }
  return text;
}

constexpr char kStat[] =
    "27151 (python3) S 27149 27149 27149 0 -1 4194304 1068 0 3 0 2 1 0 0 20 0 4 0 2164478 19853312 "
    "2467 18446744073709551615 94029513539584 94029513541829 140727640187520 0 0 0 0 16781312 2 0 "
    "0 0 17 1 0 0 0 0 0 94029516345344 94029519123416 94029549084672 140727640192311 "
    "140727640192340 140727640192340 140727640194023 0\n";

constexpr char kStatus[] =
    "Name:\tpython3\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t27151\nNgid:\t0\nPid:\t27151\n"
    "PPid:\t27149\nTracerPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t64\nGroups:\t0 \n"
    "NStgid:\t27151\nNSpid:\t27151\nNSpgid:\t27149\nNSsid:\t27149\nKthread:\t0\n"
    "VmPeak:\t   19388 kB\nVmSize:\t   19388 kB\nVmLck:\t       0 kB\nVmPin:\t       0 kB\n"
    "VmHWM:\t    9868 kB\nVmRSS:\t    9868 kB\nRssAnon:\t    3724 kB\nRssFile:\t    6144 kB\n"
    "RssShmem:\t       0 kB\nVmData:\t    4108 kB\nVmStk:\t     132 kB\nVmExe:\t    2768 kB\n"
    "VmLib:\t    1660 kB\nVmPTE:\t      76 kB\nVmSwap:\t       0 kB\nHugetlbPages:\t       0 kB\n"
    "CoreDumping:\t0\nTHP_enabled:\t1\nuntag_mask:\t0xffffffffffffffff\nThreads:\t1\n"
    "SigQ:\t0/95722\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000000000\n"
    "SigBlk:\t0000000000000000\nSigIgn:\t0000000001001000\nSigCgt:\t0000000000000002\n"
    "CapInh:\t0000000000000000\nCapPrm:\t000001ffffffffff\nCapEff:\t000001ffffffffff\n"
    "CapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\nNoNewPrivs:\t0\nSeccomp:\t0\n"
    "Seccomp_filters:\t0\nSpeculation_Store_Bypass:\tvulnerable\n"
    "SpeculationIndirectBranch:\tconditional enabled\nCpus_allowed:\t3\nCpus_allowed_list:\t0-1\n"
    "Mems_allowed:\t1\nMems_allowed_list:\t0\nvoluntary_ctxt_switches:\t1\n"
    "nonvoluntary_ctxt_switches:\t2\n";

constexpr char kFdInfo[] = "pos:\t0\nflags:\t0100000\nmnt_id:\t30\nino:\t332835\n";

template <typename Parse>
void Measure(benchmark::State& state, const std::string& text, int64_t entries, Parse parse) {
  for (auto unused : state) {
    auto parsed = parse(text);
    if (!parsed.ok()) state.SkipWithError(std::string(parsed.status().message()).c_str());
    benchmark::DoNotOptimize(parsed);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
  state.SetItemsProcessed(state.iterations() * entries);
}

void BM_Maps(benchmark::State& state) {
  Measure(state, MapsText(state.range(0)), state.range(0), ParseMaps);
}
BENCHMARK(BM_Maps)->Arg(10)->Arg(10'000);

void BM_Smaps(benchmark::State& state) {
  Measure(state, SmapsText(state.range(0)), state.range(0), ParseSmaps);
}
BENCHMARK(BM_Smaps)->Arg(10)->Arg(10'000);

void BM_Mountinfo(benchmark::State& state) {
  Measure(state, MountinfoText(state.range(0)), state.range(0), ParseMountinfo);
}
BENCHMARK(BM_Mountinfo)->Arg(10)->Arg(1'000);

void BM_Stat(benchmark::State& state) { Measure(state, kStat, 1, ParseStat); }
BENCHMARK(BM_Stat);

void BM_Status(benchmark::State& state) { Measure(state, kStatus, 1, ParseStatus); }
BENCHMARK(BM_Status);

void BM_FdInfo(benchmark::State& state) { Measure(state, kFdInfo, 1, ParseFdInfo); }
BENCHMARK(BM_FdInfo);

}  // namespace
}  // namespace dumpctl
