#ifndef DUMP_IMAGE_IMAGE_JSON_H_
#define DUMP_IMAGE_IMAGE_JSON_H_

#include <google/protobuf/message.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace dumpctl {

// One image as crit(1) decodes it: {"magic": "CORE", "entries": [...]}. Fields stand under their
// names in the order of their numbers, unset ones are left out; numbers are numbers, enums names,
// bytes base64 in lines; an entry's payload is its "extra". `name` is as for ImageReader, whose
// errors these are.
absl::StatusOr<nlohmann::ordered_json> ImageJson(const std::string& name, std::string_view bytes);

// A message alone, in the same manner.
nlohmann::ordered_json MessageJson(const google::protobuf::Message& message);

// The text of a value. File names may be no UTF-8, which JSON cannot hold: their strange bytes
// become U+FFFD.
std::string JsonText(const nlohmann::ordered_json& value);

}  // namespace dumpctl

#endif  // DUMP_IMAGE_IMAGE_JSON_H_
