#ifndef PROC_BTF_PARSER_H_
#define PROC_BTF_PARSER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dumpctl {

enum class BtfKind : uint8_t { kStruct = 4, kFunction = 12 };

struct BtfName {
  BtfKind kind;
  std::string_view name;
};

struct BtfType {
  uint32_t id = 0;
  size_t position = 0;  // of its record in the section of types

  friend bool operator==(const BtfType&, const BtfType&) = default;
};

// The types of a kernel as /sys/kernel/btf/vmlinux tells them (Documentation/bpf/btf.rst), in the
// byte order of this machine. A view: what it is made of must outlive it.
//
// The few types that one asks for are found by one walk over all (130,000 in 3 MB: 1 ms), without
// an index of them: building that costs more than it saves. It leaves a mark here and there.
//
// Errors: DataLoss for what is malformed, or of a kind that this version does not know the length
// of; NotFound for what this kernel does not have.
class Btf {
 public:
  static absl::StatusOr<Btf> Parse(std::string_view bytes);

  // In the order of `names`, the first of each.
  absl::StatusOr<std::vector<BtfType>> Find(std::span<const BtfName> names);

  // Where a member of a struct begins, in bytes. Members of anonymous structs and unions within
  // count as its own, as they do in C.
  absl::StatusOr<uint32_t> OffsetOf(const BtfType& type, std::string_view member) const;
  // The same of any, bit-fields too: the byte that its first bit is in.
  absl::StatusOr<uint32_t> ByteOf(const BtfType& type, std::string_view member) const;

  // How many bytes it has; of a bit-field, 1. NotFound where it is no number and no pointer.
  absl::StatusOr<uint32_t> SizeOf(const BtfType& type, std::string_view member) const;

  // The struct or union that a member is, or points to. Who asks so, and not for what it is called,
  // notices that a kernel keeps something else there.
  absl::StatusOr<BtfType> StructOf(const BtfType& type, std::string_view member) const;

 private:
  struct Record;
  struct Member {
    uint32_t bits;  // where it begins in the whole
    bool is_bit_field;
    uint32_t type;  // its id
  };

  Btf(std::string_view types, std::string_view strings) : types_(types), strings_(strings) {}

  absl::StatusOr<Member> FindMember(const BtfType& type, std::string_view member) const;
  std::optional<uint32_t> FindString(std::string_view text) const;
  std::string_view StringAt(uint32_t offset) const;
  // Of size 0 where there is none that could be read: then WhyNoRecordAt says why.
  Record RecordAt(size_t position) const;
  absl::Status WhyNoRecordAt(size_t position) const;
  absl::StatusOr<BtfType> FindId(uint32_t id, const BtfType& near) const;
  // What it is, behind its other names and what is said of it. NotFound for void.
  absl::StatusOr<BtfType> FindBehind(uint32_t id, const BtfType& near) const;

  std::string_view types_;
  std::string_view strings_;
  // Where the records of id 1, 1 + kBetweenMarks, ... begin, as far as Find went.
  std::vector<size_t> marks_;
  static constexpr uint32_t kBetweenMarks = 256;
};

}  // namespace dumpctl

#endif  // PROC_BTF_PARSER_H_
