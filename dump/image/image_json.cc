#include "dump/image/image_json.h"

#include <google/protobuf/descriptor.h>

#include <utility>
#include <vector>

#include "dump/image/crit_text.h"
#include "dump/image/image_reader.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using nlohmann::ordered_json;

ordered_json BytesJson(const FieldDescriptor& field, const std::string& bytes) {
  // The one field of bytes that crit holds to be a text.
  if (field.full_name() == "dumpctl.image.unix_sk_entry.name") return QuotedPrintable(bytes);
  return Base64Lines(bytes);
}

// The value of a field, or of its element `index` when that is not negative.
ordered_json ValueJson(const Message& message, const FieldDescriptor& field, int index) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  const auto get = [&](auto singular, auto repeated) {
    return index < 0 ? (reflection.*singular)(message, &field)
                     : (reflection.*repeated)(message, &field, index);
  };
  using R = google::protobuf::Reflection;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return get(&R::GetInt32, &R::GetRepeatedInt32);
    case FieldDescriptor::CPPTYPE_INT64:
      return get(&R::GetInt64, &R::GetRepeatedInt64);
    case FieldDescriptor::CPPTYPE_UINT32:
      return get(&R::GetUInt32, &R::GetRepeatedUInt32);
    case FieldDescriptor::CPPTYPE_UINT64:
      return get(&R::GetUInt64, &R::GetRepeatedUInt64);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return get(&R::GetDouble, &R::GetRepeatedDouble);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return get(&R::GetFloat, &R::GetRepeatedFloat);
    case FieldDescriptor::CPPTYPE_BOOL:
      return get(&R::GetBool, &R::GetRepeatedBool);
    case FieldDescriptor::CPPTYPE_ENUM:
      return get(&R::GetEnum, &R::GetRepeatedEnum)->name();
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string text = get(&R::GetString, &R::GetRepeatedString);
      if (field.type() == FieldDescriptor::TYPE_BYTES) return BytesJson(field, text);
      return text;
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return MessageJson(index < 0 ? reflection.GetMessage(message, &field)
                                   : reflection.GetRepeatedMessage(message, &field, index));
  }
  return nullptr;
}

void AddPayloads(const std::vector<ImageReader::Payload>& payloads, ordered_json& entry) {
  for (const ImageReader::Payload& payload : payloads) {
    if (payload.name.empty()) {
      entry["extra"] = Base64Lines(payload.bytes);
    } else {
      entry["extra"][std::string(payload.name)] = Base64Lines(payload.bytes);
    }
  }
}

// The parts, each with what is behind it, one after the other.
ordered_json PartsJson(const std::vector<ImageReader::Part>& parts) {
  ordered_json list = ordered_json::array();
  for (const ImageReader::Part& part : parts) {
    list.push_back(MessageJson(*part.message));
    for (const auto& payload : part.payloads) list.push_back(Base64Lines(payload.bytes));
  }
  return list;
}

}  // namespace

ordered_json MessageJson(const Message& message) {
  ordered_json json = ordered_json::object();
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (!field->is_repeated()) {
      json[field->name()] = ValueJson(message, *field, -1);
      continue;
    }
    ordered_json& values = json[field->name()] = ordered_json::array();
    const int size = message.GetReflection()->FieldSize(message, field);
    for (int i = 0; i < size; ++i) values.push_back(ValueJson(message, *field, i));
  }
  return json;
}

absl::StatusOr<ordered_json> ImageJson(const std::string& name, std::string_view bytes) {
  ASSIGN_OR_RETURN(ImageReader reader, ImageReader::Create(name, bytes));
  ordered_json entries = ordered_json::array();
  for (;;) {
    ASSIGN_OR_RETURN(const ImageReader::Entry entry, reader.Next());
    if (entry.message == nullptr) break;
    ordered_json& json = entries.emplace_back(MessageJson(*entry.message));
    AddPayloads(entry.payloads, json);
    if (reader.type().parts != nullptr) json["extra"] = PartsJson(entry.parts);
  }
  ordered_json image;
  image["magic"] = std::string(reader.type().symbol);
  image["entries"] = std::move(entries);
  return image;
}

std::string JsonText(const ordered_json& value) {
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace dumpctl
