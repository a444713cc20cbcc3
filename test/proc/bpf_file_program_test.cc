#include "proc/bpf_file_program.h"

#include <linux/btf.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "proc/bpf_program.h"
#include "proc/btf_parser.h"

namespace dumpctl {
namespace {

// A kernel whose timers are kept in order by something else than this one's: by what is said of it,
// and called, as another struct of this kernel is.
std::string WithOtherTimers(std::string bytes, const std::vector<BtfType>& types) {
  const BtfType &timer = types[0], &usual = types[1], &other = types[2];
  btf_header head;
  std::memcpy(&head, bytes.data(), sizeof head);
  char* const record = bytes.data() + head.hdr_len + head.type_off + timer.position;
  btf_type type;
  std::memcpy(&type, record, sizeof type);
  for (uint32_t i = 0; i < BTF_INFO_VLEN(type.info); ++i) {
    char* const at = record + sizeof type + i * sizeof(btf_member) + offsetof(btf_member, type);
    if (std::memcmp(at, &usual.id, sizeof usual.id) == 0)
      std::memcpy(at, &other.id, sizeof other.id);
  }
  return bytes;
}

TEST(BpfFileProgramTest, ReadsStructsAsWhoHoldsThemHasThem) {
  const auto kernel = KernelBtf::Open();
  if (!kernel.ok()) GTEST_SKIP() << kernel.status();
  const auto usual = MakeFileProgram(kernel->bytes());
  if (absl::IsNotFound(usual.status())) GTEST_SKIP() << usual.status();
  ASSERT_TRUE(usual.ok()) << usual.status();
  auto btf = Btf::Parse(kernel->bytes());
  ASSERT_TRUE(btf.ok()) << btf.status();
  constexpr BtfName kNames[] = {{BtfKind::kStruct, "hrtimer"},
                                {BtfKind::kStruct, "timerqueue_node"},
                                {BtfKind::kStruct, "timer_list"}};
  const auto types = btf->Find(kNames);
  ASSERT_TRUE(types.ok()) << types.status();
  const auto moved = static_cast<int>(*btf->OffsetOf((*types)[2], "expires")) -
                     static_cast<int>(*btf->OffsetOf((*types)[1], "expires"));
  ASSERT_NE(moved, 0);
  const auto other = MakeFileProgram(WithOtherTimers(std::string(kernel->bytes()), *types));
  ASSERT_TRUE(other.ok()) << other.status();
  ASSERT_EQ(other->instructions.size(), usual->instructions.size());
  std::vector<int> differences;
  for (size_t i = 0; i < usual->instructions.size(); ++i) {
    const int difference = other->instructions[i].off - usual->instructions[i].off;
    if (difference != 0) differences.push_back(difference);
  }
  EXPECT_EQ(differences, std::vector<int>{moved});
}

}  // namespace
}  // namespace dumpctl
