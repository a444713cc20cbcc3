#include "dump/image/unpack_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "dump/image/image_directory.h"
#include "dumpctl/failure.h"
#include "dumpctl/printable.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/whole_io.h"

namespace dumpctl {
namespace {

constexpr size_t kArchivePiece = 1 << 20;
// Two empty records.
constexpr int64_t kEndOfArchive = 1024;

absl::Status BadArchive(std::string_view why) {
  return MakeFailure(Failure::kBadImage, absl::StatusCode::kDataLoss,
                     absl::StrCat("the archive ", std::string(why), "; nothing was unpacked"));
}

absl::Status BadEntry(const std::string& name, std::string_view why) {
  return BadArchive(absl::StrCat("has an entry ", Printable(name), ", ", std::string(why)));
}

// An entry is an image of the dump, of its own parent images, of the parent images of these...
constexpr std::string_view kParentPrefix = "parent/";
// More than our dumps have; each level is a descriptor that is held.
constexpr size_t kMostLevels = 16;

struct Place {
  size_t levels = 0;  // up
  std::string_view name;
};

Place PlaceOf(std::string_view path) {
  if (path.starts_with("./")) path.remove_prefix(2);
  Place place{.name = path};
  for (; place.levels < kMostLevels && place.name.starts_with(kParentPrefix); ++place.levels) {
    place.name.remove_prefix(kParentPrefix.size());
  }
  return place;
}

// Of the dump, or of parent images: what tar(1) has with a slash behind it, and others without.
bool IsLevel(const std::string& path) {
  const std::string whole = path.ends_with('/') ? path : path + '/';
  return PlaceOf(whole).name.empty();
}

// Letters, digits and "._+-", not hidden, below no directory.
bool IsPlain(std::string_view name) {
  constexpr size_t kMost = 255;
  if (name.empty() || name.size() > kMost || name.front() == '.') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           std::string_view("._+-").find(c) != std::string_view::npos;
  });
}

// The archive's bytes, as they come.
class Input {
 public:
  Input(BorrowedFd from, const std::function<absl::Status()>& may_go_on)
      : from_(from), may_go_on_(may_go_on) {}

  // The next of them, none at the end, or -1: of a read(2) that fails with errno, and of who may
  // not go on with that status.
  ssize_t Read() {
    constexpr int kMillisecondsBetweenQuestions = 100;
    for (;;) {
      if (may_go_on_) status_ = may_go_on_();
      if (!status_.ok()) {
        errno = ECANCELED;
        return -1;
      }
      pollfd look = {.fd = from_.get(), .events = POLLIN, .revents = 0};
      const int ready = poll(&look, 1, kMillisecondsBetweenQuestions);
      if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
      const ssize_t got = read(from_.get(), bytes_->data(), bytes_->size());
      if (got >= 0 || (errno != EINTR && errno != EAGAIN)) return got;
    }
  }
  const char* bytes() const { return bytes_->data(); }
  const absl::Status& status() const { return status_; }

  // As libarchive asks for them.
  static la_ssize_t Next(archive* archive, void* self, const void** bytes) {
    auto* const input = static_cast<Input*>(self);
    const ssize_t got = input->Read();
    if (got < 0) archive_set_error(archive, errno, "%s", std::strerror(errno));
    *bytes = input->bytes();
    return got;
  }

 private:
  BorrowedFd from_;
  const std::function<absl::Status()>& may_go_on_;
  absl::Status status_;
  std::unique_ptr<std::array<char, kArchivePiece>> bytes_ =
      std::make_unique<std::array<char, kArchivePiece>>();
};

class Unpacking {
 public:
  Unpacking(BorrowedFd from, std::string path, ImageDirectory& directory,
            const std::function<absl::Status()>& may_go_on)
      : input_(from, may_go_on), path_(std::move(path)), directory_(directory) {}

  absl::StatusOr<Unpacked> Run() {
    archive_read_support_format_tar(archive_.get());
    if (archive_read_open(archive_.get(), &input_, nullptr, Input::Next, nullptr) != ARCHIVE_OK) {
      return Broken();
    }
    for (;;) {
      archive_entry* entry = nullptr;
      const int result = archive_read_next_header(archive_.get(), &entry);
      if (result == ARCHIVE_EOF) break;
      if (result != ARCHIVE_OK) return Broken();
      RETURN_IF_ERROR(Take(entry));
    }
    RETURN_IF_ERROR(CheckEnd());
    return unpacked_;
  }

 private:
  struct Close {
    void operator()(archive* open) const { archive_read_free(open); }
  };

  absl::Status Broken() const {
    RETURN_IF_ERROR(input_.status());
    const char* const why = archive_error_string(archive_.get());
    if (archive_errno(archive_.get()) == ENOMEM) return absl::ResourceExhaustedError("no memory");
    return BadArchive(absl::StrCat("cannot be read (", why == nullptr ? "unknown" : why,
                                   "): it is cut short, damaged, or no plain tar archive (a "
                                   "compressed one is to be decompressed first)"));
  }

  absl::Status Take(archive_entry* entry) {
    const char* const given = archive_entry_pathname(entry);
    const std::string path = given == nullptr ? "" : given;
    const auto type = archive_entry_filetype(entry);
    if (type == AE_IFDIR && IsLevel(path)) return absl::OkStatus();
    const char* const same = archive_entry_hardlink(entry);
    if (type != AE_IFREG && same == nullptr) return BadEntry(path, "which is no regular file");
    const Place place = PlaceOf(path);
    const std::string name(place.name);
    const bool is_image = KindOfImageName(name).has_value();
    // A file where parent images go would be taken for these, or keep them away.
    if (!IsPlain(name) || name == kParentLink || (place.levels > 0 && !is_image)) {
      return BadEntry(path, "whose name is none of an image");
    }
    if (!places_.emplace(place.levels, name).second) return BadEntry(path, "which it has twice");
    if (same != nullptr) return Repeat(path, place, same);
    if (place.levels > 0) {
      if (!directory_.can_have_parent()) {
        return BadEntry(path, "and something else than parent images is in its place");
      }
      ASSIGN_OR_RETURN(const UniqueFd file, directory_.CreateInAncestor(place.levels - 1, name));
      return Write(file, path, entry);
    }
    // Images are an earlier dump's, which is replaced as a whole. Anything else stays.
    struct stat there = {};
    if (!is_image && lstat(absl::StrCat(path_, "/", name).c_str(), &there) == 0) {
      return BadEntry(path, "which is no image and is in the directory already");
    }
    ASSIGN_OR_RETURN(const UniqueFd file, directory_.Create(name));
    return Write(file, name, entry);
  }

  // What shares a pagemap has links to it, all among the same parent images.
  absl::Status Repeat(const std::string& path, const Place& place, const std::string& same) {
    const Place first = PlaceOf(same);
    const std::string name(first.name);
    if (place.levels == 0 || first.levels != place.levels || name == place.name ||
        !places_.contains({first.levels, name})) {
      return BadEntry(path, "which is a link to something else than an image beside it");
    }
    ++unpacked_.images;
    return directory_.RepeatInAncestor(place.levels - 1, name, std::string(place.name));
  }

  absl::Status Write(const UniqueFd& file, const std::string& name, archive_entry* entry) {
    for (;;) {
      const void* bytes = nullptr;
      size_t size = 0;
      la_int64_t offset = 0;
      const int result = archive_read_data_block(archive_.get(), &bytes, &size, &offset);
      if (result == ARCHIVE_EOF) break;
      if (result != ARCHIVE_OK) return Broken();
      const int error = WriteAllAt(BorrowedFd(file), {static_cast<const char*>(bytes), size},
                                   static_cast<uint64_t>(offset));
      if (error != 0) return ImageWriteError(error, name);
    }
    // It may end with a hole.
    const la_int64_t size = archive_entry_size(entry);
    if (ftruncate(file.get(), size) < 0) return ImageWriteError(errno, name);
    ++unpacked_.images;
    unpacked_.bytes += static_cast<uint64_t>(size);
    return absl::OkStatus();
  }

  absl::Status CheckEnd() {
    // libarchive takes the end of the input for that of the archive, and so it does with an input
    // that fails behind the last entry.
    RETURN_IF_ERROR(input_.status());
    const int64_t last =
        archive_filter_bytes(archive_.get(), 0) - archive_read_header_position(archive_.get());
    if (last < kEndOfArchive) return BadArchive("is cut short: its end is missing");
    if (!places_.contains({0, ImageName(ImageKind::kInventory)})) {
      return BadArchive("holds no inventory.img, so that it is no whole dump");
    }
    // Who writes it shall not meet a closed pipe: tar(1) fills up its last block.
    while (input_.Read() > 0) {
    }
    return input_.status();
  }

  Input input_;  // outlives archive_
  std::string path_;
  ImageDirectory& directory_;
  std::unique_ptr<archive, Close> archive_{archive_read_new()};
  std::set<std::pair<size_t, std::string>> places_;  // of what it has had
  Unpacked unpacked_;
};

}  // namespace

absl::StatusOr<Unpacked> UnpackArchive(BorrowedFd from, const std::string& path, bool sync,
                                       const std::function<absl::Status()>& may_go_on) {
  ASSIGN_OR_RETURN(ImageDirectory directory, ImageDirectory::Open(path));
  ASSIGN_OR_RETURN(const Unpacked unpacked, Unpacking(from, path, directory, may_go_on).Run());
  RETURN_IF_ERROR(directory.Commit(sync));
  return unpacked;
}

}  // namespace dumpctl
