#include "dump/cli/image_text.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "dump/cli/field_style.h"
#include "dump/image/image_reader.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using R = google::protobuf::Reflection;

constexpr size_t kLineWidth = 100;
constexpr size_t kShownBytes = 64;  // of a payload or of bytes

// A field's name and the text of its value.
using Cell = std::pair<std::string, std::string>;
using Row = std::vector<Cell>;

std::string Quoted(std::string_view bytes) {
  return absl::StrCat("\"", absl::CHexEscape(absl::string_view(bytes.data(), bytes.size())), "\"");
}

std::string BytesText(std::string_view bytes) {
  if (bytes.size() <= kShownBytes) return Quoted(bytes);
  return absl::StrCat(Quoted(bytes.substr(0, kShownBytes)), "... (", bytes.size(), " bytes)");
}

std::string NumberText(const FieldDescriptor& field, uint64_t value, std::string plain) {
  return StyledNumber(field, value).value_or(std::move(plain));
}

// The value of a field that is no message, or of its element `index` when that is not negative.
std::string ScalarText(const Message& message, const FieldDescriptor& field, int index) {
  const auto get = [&](auto singular, auto repeated) {
    const R& reflection = *message.GetReflection();
    return index < 0 ? (reflection.*singular)(message, &field)
                     : (reflection.*repeated)(message, &field, index);
  };
  const auto number = [&](auto singular, auto repeated) {
    const auto value = get(singular, repeated);
    return NumberText(field, static_cast<uint64_t>(value), absl::StrCat(value));
  };
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return number(&R::GetInt32, &R::GetRepeatedInt32);
    case FieldDescriptor::CPPTYPE_INT64:
      return number(&R::GetInt64, &R::GetRepeatedInt64);
    case FieldDescriptor::CPPTYPE_UINT32:
      return number(&R::GetUInt32, &R::GetRepeatedUInt32);
    case FieldDescriptor::CPPTYPE_UINT64:
      return number(&R::GetUInt64, &R::GetRepeatedUInt64);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return absl::StrCat(get(&R::GetDouble, &R::GetRepeatedDouble));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return absl::StrCat(get(&R::GetFloat, &R::GetRepeatedFloat));
    case FieldDescriptor::CPPTYPE_BOOL:
      return get(&R::GetBool, &R::GetRepeatedBool) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return get(&R::GetEnum, &R::GetRepeatedEnum)->name();
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string text = get(&R::GetString, &R::GetRepeatedString);
      return field.type() == FieldDescriptor::TYPE_BYTES ? BytesText(text) : Quoted(text);
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return "";
}

// The elements of a repeated field, equal ones in a row as one: "0x0 (64 times)".
std::vector<std::string> Elements(const Message& message, const FieldDescriptor& field) {
  std::vector<std::string> texts;
  const int size = message.GetReflection()->FieldSize(message, &field);
  for (int i = 0; i < size;) {
    const std::string text = ScalarText(message, field, i);
    int end = i + 1;
    while (end < size && ScalarText(message, field, end) == text) ++end;
    if (end - i > 3) {
      texts.push_back(absl::StrCat(text, " (", end - i, " times)"));
    } else {
      texts.insert(texts.end(), static_cast<size_t>(end - i), text);
    }
    i = end;
  }
  return texts;
}

std::vector<const FieldDescriptor*> SetFields(const Message& message) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  return fields;
}

bool IsMessage(const FieldDescriptor* field) {
  return field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
}

// Whether a message fits in a line: it has neither parts of its own nor long lists.
bool IsFlat(const Message& message) {
  constexpr int kShortList = 8;
  const auto fields = SetFields(message);
  return std::none_of(fields.begin(), fields.end(), [&message](const FieldDescriptor* field) {
    if (IsMessage(field)) return true;
    return field->is_repeated() && message.GetReflection()->FieldSize(message, field) > kShortList;
  });
}

Row RowOf(const Message& message) {
  Row row;
  for (const FieldDescriptor* field : SetFields(message)) {
    std::string text;
    if (field->is_repeated()) {
      for (const std::string& element : Elements(message, *field)) {
        absl::StrAppend(&text, text.empty() ? "" : ",", element);
      }
    } else {
      text = ScalarText(message, *field, -1);
    }
    row.emplace_back(field->name(), std::move(text));
  }
  return row;
}

// Lines in columns: a field's values are as wide in all rows. `before` begins each line.
void PrintRows(const std::vector<Row>& rows, const std::string& before, std::string& out) {
  std::map<std::string, size_t> widths;
  for (const Row& row : rows) {
    for (const auto& [name, value] : row) {
      widths[name] = std::max(widths[name], value.size());
    }
  }
  for (const Row& row : rows) {
    std::string line = before;
    for (const auto& [name, value] : row) {
      absl::StrAppend(&line, name, " ", value, std::string(widths[name] - value.size() + 2, ' '));
    }
    line.erase(line.find_last_not_of(' ') + 1);
    absl::StrAppend(&out, line, "\n");
  }
}

class BlockPrinter {
 public:
  explicit BlockPrinter(std::string& out) : out_(out) {}

  void Print(const Message& message, size_t indent) {
    const auto fields = SetFields(message);
    size_t width = 0;
    for (const FieldDescriptor* field : fields) {
      if (IsInLine(message, *field)) width = std::max(width, field->name().size());
    }
    for (const FieldDescriptor* field : fields) {
      if (IsMessage(field)) {
        PrintParts(message, *field, indent, width);
      } else if (field->is_repeated()) {
        PrintList(Elements(message, *field), Begin(*field, indent, width));
      } else {
        absl::StrAppend(&out_, Begin(*field, indent, width), ScalarText(message, *field, -1), "\n");
      }
    }
  }

 private:
  static bool IsInLine(const Message& message, const FieldDescriptor& field) {
    if (!IsMessage(&field)) return true;
    return !field.is_repeated() && IsFlat(message.GetReflection()->GetMessage(message, &field));
  }

  static std::string Begin(const FieldDescriptor& field, size_t indent, size_t width) {
    const std::string& name = field.name();
    return absl::StrCat(std::string(indent, ' '), name,
                        std::string(std::max(width, name.size()) - name.size() + 2, ' '));
  }

  void PrintList(const std::vector<std::string>& elements, const std::string& begin) {
    std::string line = begin;
    bool empty = true;
    for (const std::string& element : elements) {
      if (!empty && line.size() + 1 + element.size() > kLineWidth) {
        absl::StrAppend(&out_, line, "\n");
        line = std::string(begin.size(), ' ');
        empty = true;
      }
      absl::StrAppend(&line, empty ? "" : " ", element);
      empty = false;
    }
    absl::StrAppend(&out_, line, "\n");
  }

  void PrintParts(const Message& message, const FieldDescriptor& field, size_t indent,
                  size_t width) {
    const R& reflection = *message.GetReflection();
    if (!field.is_repeated()) {
      PrintPart(reflection.GetMessage(message, &field), field, indent, width);
      return;
    }
    const int size = reflection.FieldSize(message, &field);
    std::vector<Row> rows;
    for (int i = 0; i < size; ++i) {
      const Message& part = reflection.GetRepeatedMessage(message, &field, i);
      if (!IsFlat(part)) break;
      rows.push_back(RowOf(part));
    }
    if (rows.size() == static_cast<size_t>(size)) {
      absl::StrAppend(&out_, std::string(indent, ' '), field.name(), " (", size, ")\n");
      PrintRows(rows, std::string(indent + 2, ' '), out_);
      return;
    }
    for (int i = 0; i < size; ++i) {
      absl::StrAppend(&out_, std::string(indent, ' '), field.name(), "[", i, "]\n");
      Print(reflection.GetRepeatedMessage(message, &field, i), indent + 2);
    }
  }

  void PrintPart(const Message& part, const FieldDescriptor& field, size_t indent, size_t width) {
    // A line that would be too long is a block, too.
    if (IsFlat(part)) {
      std::string line;
      PrintRows({RowOf(part)}, Begin(field, indent, width), line);
      if (line.size() <= kLineWidth + 1) {
        out_ += line;
        return;
      }
    }
    absl::StrAppend(&out_, std::string(indent, ' '), field.name(), "\n");
    Print(part, indent + 2);
  }

  std::string& out_;
};

void AddPayloads(const std::vector<ImageReader::Payload>& payloads, Row& row) {
  for (const ImageReader::Payload& payload : payloads) {
    row.emplace_back(payload.name.empty() ? "payload" : std::string(payload.name),
                     BytesText(payload.bytes));
  }
}

}  // namespace

absl::StatusOr<std::string> ImageText(const std::string& name, std::string_view bytes) {
  ASSIGN_OR_RETURN(ImageReader reader, ImageReader::Create(name, bytes));
  std::string body;
  std::vector<Row> rows;  // flat entries that wait for their columns' widths
  size_t count = 0;
  for (;; ++count) {
    ASSIGN_OR_RETURN(const ImageReader::Entry entry, reader.Next());
    if (entry.message == nullptr) break;
    if (IsFlat(*entry.message)) {
      AddPayloads(entry.payloads, rows.emplace_back(RowOf(*entry.message)));
      continue;
    }
    PrintRows(std::exchange(rows, {}), "  ", body);
    if (!body.empty()) absl::StrAppend(&body, "\n");
    BlockPrinter(body).Print(*entry.message, 2);
    Row payloads;
    AddPayloads(entry.payloads, payloads);
    if (!payloads.empty()) PrintRows({payloads}, "  ", body);
  }
  PrintRows(rows, "  ", body);
  return absl::StrCat(name, ": ", std::string(reader.type().symbol), ", ", count,
                      count == 1 ? " entry\n" : " entries\n", body);
}

}  // namespace dumpctl
