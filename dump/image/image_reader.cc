#include "dump/image/image_reader.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <climits>
#include <limits>
#include <span>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/unique_fd.h"
#include "dumpctl/whole_io.h"

namespace dumpctl {
namespace {

constexpr size_t kWord = sizeof(uint32_t);

uint32_t LittleEndian(std::string_view word) {
  uint32_t value = 0;
  for (size_t i = 0; i < kWord; ++i) {
    value |= uint32_t{static_cast<unsigned char>(word[i])} << (8 * i);
  }
  return value;
}

absl::Status BadImage(const std::string& name, size_t at, const std::string& what) {
  return MakeFailure(Failure::kBadImage, absl::StatusCode::kDataLoss,
                     absl::StrCat(name, ": at byte ", at, ": ", what));
}

std::string EndsAfter(const char* what, uint64_t wanted, size_t there) {
  return absl::StrCat(what, " of ", wanted, " bytes, but the image ends after ", there);
}

// Where two kinds share a magic, the file's name tells them apart, when it is known.
const ImageType& TellApart(const ImageType& by_magic, const std::string& name) {
  const std::string base = name.substr(name.rfind('/') + 1);
  const auto kind = KindOfImageName(base);
  if (!kind.has_value()) return by_magic;
  const ImageType& by_name = ImageTypeOf(*kind);
  return by_name.magic == by_magic.magic && by_name.head == by_magic.head ? by_name : by_magic;
}

}  // namespace

absl::StatusOr<ImageReader> ImageReader::Create(std::string name, std::string_view bytes) {
  if (bytes.size() < kWord) return BadImage(name, 0, EndsAfter("a magic", kWord, bytes.size()));
  ImageHead head = ImageHead::kTypeOnly;
  uint32_t magic = LittleEndian(bytes);
  size_t at = 0;
  if (magic == kCommonMagic || magic == kServiceMagic) {
    head = magic == kCommonMagic ? ImageHead::kCommon : ImageHead::kService;
    at = kWord;
    if (bytes.size() < at + kWord) {
      return BadImage(name, at, EndsAfter("a magic", kWord, bytes.size() - at));
    }
    magic = LittleEndian(bytes.substr(at));
  }
  const ImageType* type = ImageTypeOfMagic(head, magic);
  if (type == nullptr) {
    return BadImage(name, at, absl::StrFormat("0x%08x is no image's magic", magic));
  }
  if (type->entry == nullptr) {
    return BadImage(
        name, at,
        absl::StrCat("images of type ", absl::string_view(type->symbol.data(), type->symbol.size()),
                     " cannot be read by this build"));
  }
  const ImageType& exact = TellApart(*type, name);
  return ImageReader(std::move(name), bytes, at + kWord, exact);
}

absl::StatusOr<std::unique_ptr<google::protobuf::Message>> ImageReader::ReadMessage(
    const google::protobuf::Message& prototype, std::unique_ptr<google::protobuf::Message> known) {
  const size_t left = bytes_.size() - at_;
  if (left < kWord) return BadImage(name_, at_, EndsAfter("a size", kWord, left));
  const uint32_t size = LittleEndian(bytes_.substr(at_));
  if (size > left - kWord) {
    return BadImage(name_, at_, EndsAfter("an entry", size, left - kWord));
  }
  if (size > static_cast<uint32_t>(INT_MAX)) {
    return BadImage(name_, at_, absl::StrCat("an entry of ", size, " bytes is no message"));
  }
  std::unique_ptr<google::protobuf::Message> message = std::move(known);
  if (message == nullptr || message->GetDescriptor() != prototype.GetDescriptor()) {
    message.reset(prototype.New());
  }
  const std::string_view body = bytes_.substr(at_ + kWord, size);
  if (!message->ParsePartialFromArray(body.data(), static_cast<int>(body.size()))) {
    return BadImage(name_, at_ + kWord,
                    absl::StrCat("this is no ", prototype.GetDescriptor()->name()));
  }
  if (!message->IsInitialized()) {
    return BadImage(name_, at_ + kWord,
                    absl::StrCat(prototype.GetDescriptor()->name(), " without ",
                                 message->InitializationErrorString()));
  }
  at_ += kWord + size;
  return message;
}

absl::StatusOr<std::vector<ImageReader::Payload>> ImageReader::ReadPayloads(
    const google::protobuf::Message& message) {
  std::vector<Payload> payloads;
  if (type_->payloads == nullptr) return payloads;
  for (const ImagePayload& payload : type_->payloads(message)) {
    const size_t left = bytes_.size() - at_;
    const uint64_t size = payload.bytes.value_or(left);
    if (size > left || payload.padding > left - size) {
      return BadImage(name_, at_, EndsAfter("a payload", size + payload.padding, left));
    }
    payloads.push_back({payload.name, bytes_.substr(at_, size)});
    at_ += size + payload.padding;
  }
  return payloads;
}

absl::StatusOr<std::vector<ImageReader::Part>> ImageReader::ReadParts() {
  std::vector<Part> parts;
  if (type_->parts == nullptr) return parts;
  const uint64_t count = type_->parts(*message_);
  while (parts.size() < count) {
    Part part;
    ASSIGN_OR_RETURN(part.message, ReadMessage(*type_->part(), nullptr));
    ASSIGN_OR_RETURN(part.payloads, ReadPayloads(*part.message));
    parts.push_back(std::move(part));
  }
  return parts;
}

absl::StatusOr<ImageReader::Entry> ImageReader::Next() {
  Entry entry;
  if (at_ == bytes_.size()) return entry;
  const google::protobuf::Message* prototype =
      first_ && type_->first_entry != nullptr ? type_->first_entry() : type_->entry();
  // One message serves all entries of a type: parsing clears it, and keeps its memory.
  ASSIGN_OR_RETURN(message_, ReadMessage(*prototype, std::move(message_)));
  first_ = false;
  entry.message = message_.get();
  ASSIGN_OR_RETURN(entry.payloads, ReadPayloads(*message_));
  ASSIGN_OR_RETURN(entry.parts, ReadParts());
  return entry;
}

namespace {

absl::StatusOr<std::string> ReadUpTo(uint64_t most, const std::string& path) {
  // Not blocking: a fifo by the name of an image would keep us for ever.
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return absl::ErrnoToStatus(errno, path);
  struct stat stat = {};
  if (fstat(file.get(), &stat) < 0) return absl::ErrnoToStatus(errno, path);
  if (!S_ISREG(stat.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is no regular file"));
  }
  if (static_cast<uint64_t>(stat.st_size) > most) {
    return MakeFailure(
        Failure::kBadImage, absl::StatusCode::kDataLoss,
        absl::StrCat(path, ": ", stat.st_size, " bytes are more than such an image ever has"));
  }
  std::string bytes(static_cast<size_t>(stat.st_size), '\0');
  const ssize_t used = ReadAll(BorrowedFd(file), std::as_writable_bytes(std::span(bytes)));
  if (used < 0) return absl::ErrnoToStatus(errno, path);
  bytes.resize(static_cast<size_t>(used));
  return bytes;
}

}  // namespace

absl::StatusOr<std::string> ReadImageFile(const std::string& path) {
  return ReadUpTo(std::numeric_limits<off_t>::max(), path);
}

absl::StatusOr<std::string> ReadFoundImage(const std::string& path) {
  constexpr uint64_t kMost = 1 << 30;  // of a pagemap that is some 70 million runs
  return ReadUpTo(kMost, path);
}

}  // namespace dumpctl
