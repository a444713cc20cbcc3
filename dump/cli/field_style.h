#ifndef DUMP_CLI_FIELD_STYLE_H_
#define DUMP_CLI_FIELD_STYLE_H_

#include <google/protobuf/descriptor.h>

#include <cstdint>
#include <optional>
#include <string>

namespace dumpctl {

// How people read a number that an image holds: an address in hex, a mode in octal, flags by name.
// The text of `value` when `field` asks for more than a plain decimal; none otherwise. Signed
// numbers come as their two's complement.
std::optional<std::string> StyledNumber(const google::protobuf::FieldDescriptor& field,
                                        uint64_t value);

}  // namespace dumpctl

#endif  // DUMP_CLI_FIELD_STYLE_H_
