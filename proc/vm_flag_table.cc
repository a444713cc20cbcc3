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

}  // namespace

absl::StatusOr<VmFlagTable> VmFlagTable::Learn(std::span<const VmFlagSample> samples) {
  VmFlagTable table;
  for (const VmFlagSample& sample : samples) RETURN_IF_ERROR(table.LearnFrom(sample));
  for (const VmFlagSample& sample : samples) RETURN_IF_ERROR(table.CheckAgainst(sample));
  return table;
}

absl::Status VmFlagTable::LearnFrom(const VmFlagSample& sample) {
  if (!VmFlagsOf(sample.codes)) return MalformedText("smaps", "VmFlags", sample.codes);
  const std::vector<std::string_view> codes = Words(sample.codes);
  if (codes.size() != static_cast<size_t>(std::popcount(sample.bits))) return absl::OkStatus();
  uint64_t rest = sample.bits;
  for (const std::string_view code : codes) {
    const int bit = TakeBit(rest);
    if (!codes_[bit].empty() && codes_[bit] != code) return Contradiction(bit, sample);
    codes_[bit] = code;
    flags_[bit] = VmFlagOf(code);
    known_ |= uint64_t{1} << bit;
  }
  return absl::OkStatus();
}

absl::Status VmFlagTable::CheckAgainst(const VmFlagSample& sample) const {
  const std::vector<std::string_view> codes = Words(sample.codes);
  for (uint64_t rest = known_; rest != 0;) {
    const int bit = TakeBit(rest);
    const bool set = (sample.bits >> bit & 1) != 0;
    const bool told = std::find(codes.begin(), codes.end(), codes_[bit]) != codes.end();
    if (set != told && codes_[bit] != kNoCode) return Contradiction(bit, sample);
  }
  return absl::OkStatus();
}

std::optional<VmFlags> VmFlagTable::Translate(uint64_t bits) const {
  if ((bits & ~known_) != 0) return std::nullopt;
  VmFlags flags;
  while (bits != 0) flags.Set(flags_[TakeBit(bits)]);
  return flags;
}

}  // namespace dumpctl
