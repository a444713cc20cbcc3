#ifndef DUMP_IMAGE_STAGING_H_
#define DUMP_IMAGE_STAGING_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dump/image/image_writer.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl {

// Where the images of one dump stand until they are committed. Destroyed, it takes all away that is
// in a hidden place, unless it is to leave it.
class Staging {
 public:
  // In a hidden directory inside `directory` (at `path`, for errors), to be moved out.
  static absl::StatusOr<std::unique_ptr<Staging>> Beside(BorrowedFd directory,
                                                         const std::string& path);
  // In `directory` itself, with a mark that they are unfinished, which becomes the inventory.
  static absl::StatusOr<std::unique_ptr<Staging>> InPlace(BorrowedFd directory,
                                                          const std::string& path);
  // Removes what killed dumps have left in it of either, and puts back what they have set aside:
  // the errors of SetAside::PutBack. Returns the names that stand there.
  static absl::StatusOr<std::vector<std::string>> CleanUp(BorrowedFd directory);

  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  virtual ~Staging() = default;

  // The directory in which they stand.
  BorrowedFd fd() const { return BorrowedFd(fd_); }
  // Whether an image has its own name there, in its final place.
  virtual bool in_place() const = 0;
  // Under which name an image stands there.
  virtual std::string NameOf(const std::string& name) const { return name; }
  // An empty image, not of those that it keeps.
  virtual absl::StatusOr<UniqueFd> Create(const std::string& name) = 0;
  // Whether it keeps the image itself, in memory, until it will stand: the inventory in place.
  virtual bool Keep(const ImageWriter& /*image*/) { return false; }
  // The inventory is moved out next. `sync`: what it needs for that is on the disk.
  virtual absl::Status WillStand(bool /*sync*/) { return absl::OkStatus(); }
  // For the next dump's CleanUp.
  virtual void Leave() {}

 protected:
  explicit Staging(UniqueFd fd) : fd_(std::move(fd)) {}

 private:
  UniqueFd fd_;
};

}  // namespace dumpctl

#endif  // DUMP_IMAGE_STAGING_H_
