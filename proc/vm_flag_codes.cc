#include "proc/vm_flag_codes.h"

#include <algorithm>
#include <utility>

namespace dumpctl {
namespace {

constexpr std::pair<std::string_view, VmFlag> kCodes[] = {
    {"rd", VmFlag::kRead},
    {"wr", VmFlag::kWrite},
    {"ex", VmFlag::kExec},
    {"sh", VmFlag::kShared},
    {"mr", VmFlag::kMayRead},
    {"mw", VmFlag::kMayWrite},
    {"me", VmFlag::kMayExec},
    {"ms", VmFlag::kMayShare},
    {"gd", VmFlag::kGrowsDown},
    {"pf", VmFlag::kPfnMap},
    {"lo", VmFlag::kLocked},
    {"io", VmFlag::kIo},
    {"sr", VmFlag::kSequentialRead},
    {"rr", VmFlag::kRandomRead},
    {"dc", VmFlag::kDontCopy},
    {"de", VmFlag::kDontExpand},
    {"lf", VmFlag::kLockOnFault},
    {"ac", VmFlag::kAccount},
    {"nr", VmFlag::kNoReserve},
    {"ht", VmFlag::kHugeTlb},
    {"sf", VmFlag::kSync},
    {"ar", VmFlag::kArch1},
    {"wf", VmFlag::kWipeOnFork},
    {"dd", VmFlag::kDontDump},
    {"sd", VmFlag::kSoftDirty},
    {"mm", VmFlag::kMixedMap},
    {"hg", VmFlag::kHugePage},
    {"nh", VmFlag::kNoHugePage},
    {"mg", VmFlag::kMergeable},
    {"um", VmFlag::kUffdMissing},
    {"uw", VmFlag::kUffdWriteProtect},
    {"ui", VmFlag::kUffdMinor},
    {"dp", VmFlag::kDroppable},
    {"sl", VmFlag::kSealed},
    {"ss", VmFlag::kShadowStack},
    {"gu", VmFlag::kGuarded},
};

}  // namespace

VmFlag VmFlagOf(std::string_view code) {
  for (const auto& [name, flag] : kCodes) {
    if (name == code) return flag;
  }
  return VmFlag::kOther;
}

std::optional<VmFlags> VmFlagsOf(std::string_view codes) {
  VmFlags flags;
  for (;;) {
    codes.remove_prefix(std::min(codes.find_first_not_of(' '), codes.size()));
    if (codes.empty()) return flags;
    const std::string_view code = codes.substr(0, codes.find(' '));
    if (code.size() != 2) return std::nullopt;
    flags.Set(VmFlagOf(code));
    codes.remove_prefix(code.size());
  }
}

}  // namespace dumpctl
