#include "proc/btf_parser.h"

#include <linux/btf.h>

#include <algorithm>
#include <bitset>
#include <cstring>
#include <iterator>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// What follows the head of a record: so many bytes, and so many for each of its parts.
struct Tail {
  uint32_t fixed;
  uint32_t each;
};
constexpr Tail kTails[] = {
    {0, 0},   // unknown: no record may be
    {4, 0},   // INT
    {0, 0},   // PTR
    {12, 0},  // ARRAY
    {0, 12},  // STRUCT
    {0, 12},  // UNION
    {0, 8},   // ENUM
    {0, 0},   // FWD
    {0, 0},   // TYPEDEF
    {0, 0},   // VOLATILE
    {0, 0},   // CONST
    {0, 0},   // RESTRICT
    {0, 0},   // FUNC
    {0, 8},   // FUNC_PROTO
    {4, 0},   // VAR
    {0, 12},  // DATASEC
    {0, 0},   // FLOAT
    {4, 0},   // DECL_TAG
    {0, 0},   // TYPE_TAG
    {0, 12},  // ENUM64
};

// Anonymous structs within one struct: more than these are a circle.
constexpr size_t kMostParts = 256;

absl::Status NoSuch(std::string_view what, std::string_view name) {
  return absl::NotFoundError(
      absl::StrCat("this kernel's BTF has no ", std::string(what), " ", std::string(name)));
}

}  // namespace

struct Btf::Record {
  uint32_t name = 0;
  uint32_t kind = 0;
  uint32_t parts = 0;
  bool bit_fields = false;  // offsets of members hold the size of a bit field as well
  uint32_t type = 0;        // the id of what it points to, or is another name of
  size_t size = 0;          // in bytes, with its tail
};

namespace {

// In bytes, with its tail; 0 of an unknown kind.
size_t SizeOfRecord(uint32_t info) {
  const uint32_t kind = BTF_INFO_KIND(info);
  if (kind == 0 || kind >= std::size(kTails)) return 0;
  return sizeof(btf_type) + kTails[kind].fixed + size_t{kTails[kind].each} * BTF_INFO_VLEN(info);
}

}  // namespace

absl::StatusOr<Btf> Btf::Parse(std::string_view bytes) {
  btf_header head = {};
  if (bytes.size() < sizeof head) return absl::DataLossError("BTF is shorter than its header");
  memcpy(&head, bytes.data(), sizeof head);
  if (head.magic != BTF_MAGIC || head.version != BTF_VERSION || head.hdr_len < sizeof head) {
    return absl::DataLossError(absl::StrCat("BTF of an unknown form: magic ", head.magic,
                                            ", version ", head.version, ", header of ",
                                            head.hdr_len, " bytes"));
  }
  const auto section = [&](uint64_t offset, uint64_t size) -> std::optional<std::string_view> {
    const uint64_t begin = head.hdr_len + offset;
    if (begin > bytes.size() || bytes.size() - begin < size) return std::nullopt;
    return bytes.substr(begin, size);
  };
  const auto types = section(head.type_off, head.type_len);
  const auto strings = section(head.str_off, head.str_len);
  if (!types || !strings) return absl::DataLossError("BTF is cut short");
  // The first string is the empty one, and all end with a zero.
  if (strings->empty() || strings->front() != '\0' || strings->back() != '\0') {
    return absl::DataLossError("the strings of BTF are not in its form");
  }
  return Btf(*types, *strings);
}

std::optional<uint32_t> Btf::FindString(std::string_view text) const {
  // Every string is there once. That is why names are compared by where they stand.
  std::string wanted(1, '\0');
  wanted.append(text).push_back('\0');
  const void* const at = memmem(strings_.data(), strings_.size(), wanted.data(), wanted.size());
  if (at == nullptr) return std::nullopt;
  return static_cast<uint32_t>(static_cast<const char*>(at) - strings_.data() + 1);
}

std::string_view Btf::StringAt(uint32_t offset) const {
  // The section ends with a zero (Parse).
  return offset < strings_.size() ? std::string_view(strings_.data() + offset) : "";
}

Btf::Record Btf::RecordAt(size_t position) const {
  btf_type head;
  if (types_.size() - position < sizeof head) return {};
  memcpy(&head, types_.data() + position, sizeof head);
  Record record = {head.name_off, BTF_INFO_KIND(head.info), BTF_INFO_VLEN(head.info),
                   BTF_INFO_KFLAG(head.info) != 0, head.type};
  record.size = SizeOfRecord(head.info);
  if (types_.size() - position < record.size) return {};
  return record;
}

absl::Status Btf::WhyNoRecordAt(size_t position) const {
  btf_type head = {};
  const size_t left = types_.size() - position;
  if (left >= sizeof head) memcpy(&head, types_.data() + position, sizeof head);
  const uint32_t kind = BTF_INFO_KIND(head.info);
  return absl::DataLossError(
      absl::StrCat("the record at ", position, " of BTF's types ",
                   left >= sizeof head && (kind == 0 || kind >= std::size(kTails))
                       ? absl::StrCat("has the unknown kind ", kind)
                       : "is cut short"));
}

absl::StatusOr<std::vector<BtfType>> Btf::Find(std::span<const BtfName> names) {
  std::vector<uint32_t> strings;
  for (const BtfName& name : names) {
    const std::optional<uint32_t> string = FindString(name.name);
    if (!string) return NoSuch("type", name.name);
    strings.push_back(*string);
  }
  // Most records are passed over by a glance at where their name stands.
  constexpr size_t kPlaces = 4096;
  std::bitset<kPlaces> sought;
  for (const uint32_t string : strings) sought.set(string % kPlaces);
  marks_.clear();
  std::vector<BtfType> found(names.size());
  size_t missing = names.size();
  // Id 0 is void, which has no record.
  uint32_t id = 1;
  for (size_t position = 0; position < types_.size() && missing > 0; ++id) {
    if (id % kBetweenMarks == 1) marks_.push_back(position);
    btf_type head;
    const size_t left = types_.size() - position;
    if (left < sizeof head) return WhyNoRecordAt(position);
    memcpy(&head, types_.data() + position, sizeof head);
    const size_t size = SizeOfRecord(head.info);
    if (size == 0 || size > left) return WhyNoRecordAt(position);
    for (size_t i = 0; sought[head.name_off % kPlaces] && i < names.size(); ++i) {
      if (head.name_off != strings[i] || found[i].id != 0 ||
          BTF_INFO_KIND(head.info) != static_cast<uint32_t>(names[i].kind)) {
        continue;
      }
      found[i] = {id, position};
      --missing;
    }
    position += size;
  }
  for (size_t i = 0; i < names.size(); ++i) {
    if (found[i].id == 0) return NoSuch("type", names[i].name);
  }
  return found;
}

absl::StatusOr<BtfType> Btf::FindId(uint32_t id, const BtfType& near) const {
  // What a struct is made of mostly stands right behind it.
  BtfType at = near.id <= id ? near : BtfType{1, 0};
  if (!marks_.empty()) {
    const auto mark =
        static_cast<uint32_t>(std::min<size_t>((id - 1) / kBetweenMarks, marks_.size() - 1));
    if (mark * kBetweenMarks + 1 > at.id) at = {mark * kBetweenMarks + 1, marks_[mark]};
  }
  while (id != 0 && at.position < types_.size()) {
    if (at.id == id) return at;
    const Record record = RecordAt(at.position);
    if (record.size == 0) return WhyNoRecordAt(at.position);
    at = {at.id + 1, at.position + record.size};
  }
  return absl::DataLossError(absl::StrCat("BTF has no type of id ", id));
}

absl::StatusOr<uint32_t> Btf::OffsetOf(const BtfType& type, std::string_view member) const {
  ASSIGN_OR_RETURN(const Member found, FindMember(type, member));
  if (found.is_bit_field || found.bits % 8 != 0) return NoSuch("member", member);
  return found.bits / 8;
}

absl::StatusOr<uint32_t> Btf::ByteOf(const BtfType& type, std::string_view member) const {
  ASSIGN_OR_RETURN(const Member found, FindMember(type, member));
  return found.bits / 8;
}

absl::StatusOr<BtfType> Btf::FindBehind(uint32_t id, const BtfType& near) const {
  for (size_t steps = 0; id != 0; ++steps) {
    if (steps == kMostParts) return absl::DataLossError("a type of BTF is another name of itself");
    ASSIGN_OR_RETURN(const BtfType at, FindId(id, near));
    const Record record = RecordAt(at.position);
    if (record.size == 0) return WhyNoRecordAt(at.position);
    switch (record.kind) {
      case BTF_KIND_TYPEDEF:
      case BTF_KIND_VOLATILE:
      case BTF_KIND_CONST:
      case BTF_KIND_RESTRICT:
      case BTF_KIND_TYPE_TAG:
        break;
      default:
        return at;
    }
    id = record.type;
  }
  return NoSuch("type", "void");
}

absl::StatusOr<uint32_t> Btf::SizeOf(const BtfType& type, std::string_view member) const {
  ASSIGN_OR_RETURN(const Member found, FindMember(type, member));
  if (found.is_bit_field) return 1;
  ASSIGN_OR_RETURN(const BtfType at, FindBehind(found.type, type));
  const Record record = RecordAt(at.position);
  switch (record.kind) {
    case BTF_KIND_INT:
    case BTF_KIND_ENUM:
    case BTF_KIND_ENUM64:
      return record.type;  // which is its size there
    case BTF_KIND_PTR:
      return sizeof(uint64_t);
    default:
      return NoSuch("number", member);
  }
}

absl::StatusOr<BtfType> Btf::StructOf(const BtfType& type, std::string_view member) const {
  ASSIGN_OR_RETURN(const Member found, FindMember(type, member));
  absl::StatusOr<BtfType> at = FindBehind(found.type, type);
  if (at.ok() && RecordAt(at->position).kind == BTF_KIND_PTR) {
    at = FindBehind(RecordAt(at->position).type, type);
  }
  if (absl::IsNotFound(at.status())) return NoSuch("struct", member);
  RETURN_IF_ERROR(at.status());
  const uint32_t kind = RecordAt(at->position).kind;
  if (kind != BTF_KIND_STRUCT && kind != BTF_KIND_UNION) return NoSuch("struct", member);
  return *at;
}

absl::StatusOr<Btf::Member> Btf::FindMember(const BtfType& type, std::string_view member) const {
  struct Part {
    uint32_t id;
    uint32_t bits;  // where it begins in the whole
  };
  std::vector<Part> parts = {{type.id, 0}};
  for (size_t next = 0; next < parts.size(); ++next) {
    if (next == kMostParts) return absl::DataLossError("a struct of BTF lies within itself");
    const Part whole = parts[next];
    ASSIGN_OR_RETURN(const BtfType at, FindId(whole.id, type));
    const Record record = RecordAt(at.position);
    if (record.size == 0) return WhyNoRecordAt(at.position);
    if (record.kind != BTF_KIND_STRUCT && record.kind != BTF_KIND_UNION) continue;
    for (uint32_t i = 0; i < record.parts; ++i) {
      btf_member part;
      memcpy(&part, types_.data() + at.position + sizeof(btf_type) + i * sizeof part, sizeof part);
      const uint32_t within = record.bit_fields ? BTF_MEMBER_BIT_OFFSET(part.offset) : part.offset;
      const bool bit_field = record.bit_fields && BTF_MEMBER_BITFIELD_SIZE(part.offset) != 0;
      const uint32_t bits = whole.bits + within;
      if (part.name_off == 0) {
        parts.push_back({part.type, bits});
      } else if (StringAt(part.name_off) == member) {
        return Member{bits, bit_field, part.type};
      }
    }
  }
  return NoSuch("member", member);
}

}  // namespace dumpctl
