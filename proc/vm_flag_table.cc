#include "proc/vm_flag_table.h"

#include <algorithm>
#include <bit>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"
#include "proc/text_fields.h"
#include "proc/vm_flag_codes.h"

namespace dumpctl {
namespace {

// What the kernel prints for bits that it has no code for, however many.
constexpr std::string_view kNoCode = "??";

absl::Status Contradiction(int bit, const VmFlagSample& sample) {
  return absl::FailedPreconditionError(absl::StrCat("bit ", bit, " of vm_flags 0x",
                                                    absl::Hex(sample.bits), " does not go with \"",
                                                    sample.codes, "\""));
}

// Takes the lowest bit out of `bits`.
int TakeBit(uint64_t& bits) {
  const int bit = std::countr_zero(bits);
  bits &= bits - 1;
  return bit;
}

class Learner {
 public:
  absl::Status LearnFrom(const VmFlagSample& sample);
  absl::Status CheckAgainst(const VmFlagSample& sample) const;
  const VmFlagTable::Plain& table() const { return table_; }

 private:
  VmFlagTable::Plain table_;
  std::string codes_[64];  // by bit; empty: not known
};

absl::Status Learner::LearnFrom(const VmFlagSample& sample) {
  if (!VmFlagsOf(sample.codes)) return MalformedText("smaps", "VmFlags", sample.codes);
  const std::vector<std::string_view> codes = Words(sample.codes);
  if (codes.size() != static_cast<size_t>(std::popcount(sample.bits))) return absl::OkStatus();
  uint64_t rest = sample.bits;
  for (const std::string_view code : codes) {
    const int bit = TakeBit(rest);
    if (!codes_[bit].empty() && codes_[bit] != code) return Contradiction(bit, sample);
    codes_[bit] = code;
    table_.flags[static_cast<size_t>(bit)] = VmFlagOf(code);
    table_.known |= uint64_t{1} << bit;
  }
  return absl::OkStatus();
}

absl::Status Learner::CheckAgainst(const VmFlagSample& sample) const {
  const std::vector<std::string_view> codes = Words(sample.codes);
  for (uint64_t rest = table_.known; rest != 0;) {
    const int bit = TakeBit(rest);
    const bool set = (sample.bits >> bit & 1) != 0;
    const bool told = std::find(codes.begin(), codes.end(), codes_[bit]) != codes.end();
    if (set != told && codes_[bit] != kNoCode) return Contradiction(bit, sample);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<VmFlagTable> VmFlagTable::Learn(std::span<const VmFlagSample> samples) {
  Learner learner;
  for (const VmFlagSample& sample : samples) RETURN_IF_ERROR(learner.LearnFrom(sample));
  for (const VmFlagSample& sample : samples) RETURN_IF_ERROR(learner.CheckAgainst(sample));
  return VmFlagTable(learner.table());
}

std::optional<VmFlags> VmFlagTable::Translate(uint64_t bits) const {
  if ((bits & ~plain_.known) != 0) return std::nullopt;
  VmFlags flags;
  while (bits != 0) flags.Set(plain_.flags[static_cast<size_t>(TakeBit(bits))]);
  return flags;
}

bool VmFlagTable::Knows(VmFlag flag) const {
  for (uint64_t rest = plain_.known; rest != 0;) {
    if (plain_.flags[static_cast<size_t>(TakeBit(rest))] == flag) return true;
  }
  return false;
}

}  // namespace dumpctl
