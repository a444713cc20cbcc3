#include "proc/bpf_assembler.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {

absl::StatusOr<BpfIterator> FindBpfIterator(Btf& btf, std::string_view of,
                                            std::span<const BtfName> others) {
  const std::string function = absl::StrCat("bpf_iter_", std::string(of));
  const std::string context = absl::StrCat("bpf_iter__", std::string(of));
  std::vector<BtfName> names = {{BtfKind::kFunction, function},
                                {BtfKind::kStruct, context},
                                {BtfKind::kStruct, "bpf_iter_meta"},
                                {BtfKind::kStruct, "bpf_iter_aux_info"}};
  const auto own = static_cast<std::ptrdiff_t>(names.size());
  names.insert(names.end(), others.begin(), others.end());
  ASSIGN_OR_RETURN(const std::vector<BtfType> types, btf.Find(names));
  BpfIterator found = {
      .function = types[0].id, .context = types[1], .others = {types.begin() + own, types.end()}};
  const BtfField fields[] = {{&found.layout.meta, types[1], "meta"},
                             {&found.layout.seq, types[2], "seq"}};
  RETURN_IF_ERROR(FindFields(btf, fields));
  // Kernel trap: where a link has no place for the task, none is missed.
  RETURN_IF_ERROR(btf.OffsetOf(types[3], "task").status());
  return found;
}

absl::Status FindParts(const Btf& btf, std::span<const BtfPart> parts) {
  for (const BtfPart& part : parts) {
    ASSIGN_OR_RETURN(*part.found, btf.StructOf(part.type, part.member));
  }
  return absl::OkStatus();
}

absl::Status FindFields(const Btf& btf, std::span<const BtfField> fields) {
  for (const BtfField& field : fields) {
    ASSIGN_OR_RETURN(*field.place, btf.OffsetOf(field.type, field.member));
    constexpr uint32_t kFarthest = 30'000;  // a BPF instruction reaches as far
    if (*field.place > kFarthest) return absl::DataLossError("a field lies too far away");
  }
  return absl::OkStatus();
}

void BpfAssembler::EndIfZero(uint8_t what) { EndIf(bpf::SkipIfZero(what, 0)); }

void BpfAssembler::JumpTo(std::vector<size_t>& jumps, const bpf_insn& jump) {
  jumps.push_back(instructions_.size());
  Add(jump);
}

void BpfAssembler::Here(const std::vector<size_t>& jumps) {
  for (const size_t jump : jumps) {
    instructions_[jump].off = static_cast<int16_t>(instructions_.size() - jump - 1);
  }
}

void BpfAssembler::EndHere() {
  Here(ends_);
  ends_.clear();
}

void BpfAssembler::Fetch(uint8_t to, int place, size_t size, uint8_t from, uint32_t offset) {
  Add(bpf::Copy(BPF_REG_3, from));
  Add(bpf::Add(BPF_REG_3, static_cast<int>(offset)));
  FetchAt3(to, place, size);
}

void BpfAssembler::FetchAt3(uint8_t to, int place, size_t size) {
  CallAt3(BPF_FUNC_probe_read_kernel, to, place, size);
}

void BpfAssembler::FetchTextAt3(uint8_t to, int place, size_t size) {
  CallAt3(BPF_FUNC_probe_read_kernel_str, to, place, size);
}

void BpfAssembler::CallAt3(int function, uint8_t to, int place, size_t size) {
  Add(bpf::Copy(BPF_REG_1, to));
  Add(bpf::Add(BPF_REG_1, place));
  Add(bpf::Set(BPF_REG_2, static_cast<int>(size)));
  Add(bpf::Call(function));
}

void BpfAssembler::FetchPointer(uint8_t to, uint8_t from, uint32_t offset) {
  Fetch(BPF_REG_10, kPointer, sizeof(uint64_t), from, offset);
  Add(bpf::Load64(to, BPF_REG_10, static_cast<uint32_t>(kPointer)));
  EndIfZero(to);
}

void BpfAssembler::Load(int place, size_t size, uint8_t from, uint32_t offset) {
  const uint8_t width = size == sizeof(uint64_t)   ? BPF_DW
                        : size == sizeof(uint32_t) ? BPF_W
                        : size == sizeof(uint16_t) ? BPF_H
                                                   : BPF_B;
  Add({static_cast<uint8_t>(BPF_LDX | BPF_MEM | width), BPF_REG_1, from,
       static_cast<int16_t>(offset), 0});
  Add({static_cast<uint8_t>(BPF_STX | BPF_MEM | width), BPF_REG_10, BPF_REG_1,
       static_cast<int16_t>(place), 0});
}

void BpfAssembler::LoadPointer(uint8_t to, uint8_t from, uint32_t offset) {
  Add(bpf::Load64(to, from, offset));
  EndIfZero(to);
}

void BpfAssembler::Cast(uint8_t to, uint8_t from, int distance, uint32_t cast, uint32_t type) {
  Add(bpf::Copy(BPF_REG_1, from));
  if (distance != 0) Add(bpf::Add(BPF_REG_1, distance));
  Add(bpf::Set(BPF_REG_2, static_cast<int>(type)));
  Add(bpf::CallKernel(cast));
  Add(bpf::Copy(to, BPF_REG_0));
}

void BpfAssembler::LoadMap(uint8_t to, int map) {
  Add({BPF_LD | BPF_IMM | BPF_DW, to, BPF_PSEUDO_MAP_FD, 0, map});
  Add({});  // the upper half of that
}

void BpfAssembler::FindValue(uint8_t to, int map) {
  Add(bpf::Set(BPF_REG_1, 0));
  Add(bpf::Store64(BPF_REG_10, kKey, BPF_REG_1));
  Add(bpf::Copy(BPF_REG_2, BPF_REG_10));
  Add(bpf::Add(BPF_REG_2, kKey));
  LoadMap(BPF_REG_1, map);
  Add(bpf::Call(BPF_FUNC_map_lookup_elem));
  EndIfZero(BPF_REG_0);
  Add(bpf::Copy(to, BPF_REG_0));
}

void BpfAssembler::HandOut(const BpfContextLayout& layout, uint8_t context, uint8_t from, int place,
                           size_t size) {
  LoadSequence(BPF_REG_1, layout, context);
  HandOutBy(BPF_REG_1, from, place, size);
}

void BpfAssembler::LoadSequence(uint8_t to, const BpfContextLayout& layout, uint8_t context) {
  Add(bpf::Load64(to, context, layout.meta));
  Add(bpf::Load64(to, to, layout.seq));
}

void BpfAssembler::HandOutBy(uint8_t sequence, uint8_t from, int place, size_t size) {
  Add(bpf::Copy(BPF_REG_1, sequence));
  Add(bpf::Copy(BPF_REG_2, from));
  Add(bpf::Add(BPF_REG_2, place));
  Add(bpf::Set(BPF_REG_3, static_cast<int>(size)));
  Add(bpf::Call(BPF_FUNC_seq_write));
}

std::vector<bpf_insn> BpfAssembler::Finish() && {
  Here(ends_);
  Add(bpf::Set(BPF_REG_0, 0));
  Add(bpf::Return());
  return std::move(instructions_);
}

absl::Status ReadBpfRecords(const UniqueFd& attached, size_t size,
                            const std::function<absl::StatusOr<bool>(std::string_view)>& take) {
  constexpr size_t kPiece = size_t{8} * 4096;  // as much as the kernel gives at once
  std::string text(size + kPiece, '\0');
  size_t has = 0;
  for (;;) {
    const ssize_t n = read(attached.get(), text.data() + has, kPiece);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return absl::ErrnoToStatus(errno, "reading from a BPF program");
    if (n == 0) break;
    has += static_cast<size_t>(n);
    size_t used = 0;
    for (; has - used >= size; used += size) {
      ASSIGN_OR_RETURN(const bool more, take(std::string_view(text).substr(used, size)));
      if (!more) return absl::OkStatus();
    }
    // Less than a record.
    has -= used;
    if (used != 0) std::copy_n(text.data() + used, has, text.data());
  }
  if (has != 0) return absl::DataLossError("a BPF program gave part of a record");
  return absl::OkStatus();
}

}  // namespace dumpctl
