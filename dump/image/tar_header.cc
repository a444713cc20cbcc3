#include "dump/image/tar_header.h"

#include <algorithm>
#include <cstddef>
#include <span>

namespace dumpctl {
namespace {

// Offsets and sizes of its fields.
struct Field {
  size_t offset;
  size_t size;
};
constexpr Field kName = {0, 100};
constexpr Field kMode = {100, 8};
constexpr Field kUid = {108, 8};
constexpr Field kGid = {116, 8};
constexpr Field kSize = {124, 12};
constexpr Field kModified = {136, 12};
constexpr Field kChecksum = {148, 8};
constexpr Field kType = {156, 1};
constexpr Field kMagic = {257, 8};  // with the version

void PutText(std::string& header, Field field, std::string_view text) {
  std::copy_n(text.begin(), std::min(text.size(), field.size),
              header.begin() + static_cast<ptrdiff_t>(field.offset));
}

// Octal digits, as many as there is room for, and the end of a string.
bool PutOctal(std::string& header, Field field, uint64_t value) {
  for (size_t i = field.size - 1; i-- > 0; value >>= 3) {
    header[field.offset + i] = static_cast<char>('0' + (value & 7));
  }
  return value == 0;
}

void PutBase256(std::string& header, Field field, uint64_t value) {
  for (size_t i = field.size; i-- > 0; value >>= 8) {
    header[field.offset + i] = static_cast<char>(value & 0xff);
  }
  header[field.offset] = static_cast<char>(0x80);
}

}  // namespace

std::string TarHeader(std::string_view name, uint64_t size, absl::Time modified) {
  std::string header(kTarRecord, '\0');
  PutText(header, kName, name);
  PutOctal(header, kMode, 0644);
  PutOctal(header, kUid, 0);
  PutOctal(header, kGid, 0);
  if (!PutOctal(header, kSize, size)) PutBase256(header, kSize, size);
  PutOctal(header, kModified,
           static_cast<uint64_t>(std::max<int64_t>(0, absl::ToUnixSeconds(modified))));
  PutText(header, kType, "0");
  PutText(header, kMagic, std::string_view("ustar\00000", kMagic.size));
  // Of all bytes, its own counted as spaces.
  PutText(header, kChecksum, "        ");
  uint64_t sum = 0;
  for (const char byte : header) sum += static_cast<unsigned char>(byte);
  PutOctal(header, {kChecksum.offset, kChecksum.size - 1}, sum);
  header[kChecksum.offset + kChecksum.size - 2] = '\0';
  return header;
}

}  // namespace dumpctl
