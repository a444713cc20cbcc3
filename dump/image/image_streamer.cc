#include "dump/image/image_streamer.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "dump/image/image_directory.h"
#include "dump/image/page_sink.h"
#include "dumpctl/failure.h"
#include "dumpctl/send_descriptor.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

constexpr char kSocketName[] = "streamer-capture.sock";
// What a new pipe takes at once.
constexpr size_t kAtOnce = 1 << 15;

absl::Status StreamerGone(int error) {
  return MakeFailure(Failure::kPeer, absl::StatusCode::kFailedPrecondition,
                     absl::StrCat("the image streamer has ended before the dump was whole: ",
                                  std::strerror(error)));
}

// A message whose field 1 is a string, behind its size. Names are shorter than 128 bytes.
std::string Request(const std::string& name) {
  std::string bytes;
  const auto size = static_cast<uint32_t>(name.size() + 2);
  for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>(size >> shift));
  bytes.push_back('\x0a');
  bytes.push_back(static_cast<char>(name.size()));
  return bytes + name;
}

}  // namespace

// One whose size is known: all of it ends it.
class ImageStreamer::File final : public ImageFile {
 public:
  File(Pipe pipe, uint64_t size) : pipe_(std::move(pipe)), left_(size) {}

  absl::Status Append(std::string_view bytes) override {
    if (bytes.size() > left_) return absl::InternalError("an image is not as long as was said");
    left_ -= bytes.size();
    if (!bytes.empty()) RETURN_IF_ERROR(pipe_.writer->Put(std::string(bytes)));
    return left_ == 0 ? pipe_.writer->Finish() : absl::OkStatus();
  }

 private:
  Pipe pipe_;
  uint64_t left_;
};

absl::StatusOr<std::unique_ptr<ImageStreamer>> ImageStreamer::Open(
    const std::string& directory, absl::Duration patience,
    std::function<absl::Status()> may_go_on) {
  RETURN_IF_ERROR(CheckWritable({"images directory", "-D"}, directory));
  const UniqueFd opened(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!opened || !socket) return absl::ErrnoToStatus(errno, directory);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  // The directory's own path may be longer than an address.
  const std::string path = absl::StrCat("/dev/fd/", opened.get(), "/", kSocketName);
  std::copy(path.begin(), path.end(), address.sun_path);
  const timeval limit = absl::ToTimeval(patience);
  setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
    return MakeFailure(Failure::kPeer, absl::ErrnoToStatusCode(errno),
                       absl::StrCat(directory, "/", kSocketName, ": ", std::strerror(errno),
                                    "; start criu-image-streamer's capture there first"));
  }
  return std::unique_ptr<ImageStreamer>(
      new ImageStreamer(std::move(socket), patience, std::move(may_go_on)));
}

absl::StatusOr<UniqueFd> ImageStreamer::Announce(const std::string& name) const {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return absl::ErrnoToStatus(errno, "a pipe for an image");
  const UniqueFd theirs(ends[0]);
  UniqueFd ours(ends[1]);
  const std::string request = Request(name);
  if (send(socket_.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    return StreamerGone(errno);
  }
  if (const int error = SendDescriptor(BorrowedFd(socket_), BorrowedFd(theirs)); error != 0) {
    return StreamerGone(error);
  }
  return ours;
}

absl::StatusOr<Outlet> ImageStreamer::OutletOf(const UniqueFd& pipe,
                                               const std::string& name) const {
  return Outlet::Open(BorrowedFd(pipe), absl::StrCat(name, " to the image streamer"), patience_);
}

absl::StatusOr<ImageStreamer::Pipe> ImageStreamer::Begin(const std::string& name) const {
  Pipe pipe;
  ASSIGN_OR_RETURN(pipe.end, Announce(name));
  ASSIGN_OR_RETURN(Outlet outlet, OutletOf(pipe.end, name));
  ASSIGN_OR_RETURN(pipe.writer, WriteBehind::Start(std::move(outlet), may_go_on_, room_));
  return pipe;
}

absl::Status ImageStreamer::Send(const std::string& name, const std::string& bytes) const {
  if (bytes.size() <= kAtOnce) {
    ASSIGN_OR_RETURN(const UniqueFd pipe, Announce(name));
    ASSIGN_OR_RETURN(Outlet outlet, OutletOf(pipe, name));
    return outlet.Write(bytes);
  }
  ASSIGN_OR_RETURN(const Pipe pipe, Begin(name));
  RETURN_IF_ERROR(pipe.writer->Put(bytes));
  return pipe.writer->Finish();
}

absl::Status ImageStreamer::Write(const ImageWriter& image) {
  if (image.name() == ImageName(ImageKind::kInventory)) {
    inventory_ = image.bytes();
    return absl::OkStatus();
  }
  return Send(image.name(), image.bytes());
}

absl::StatusOr<std::unique_ptr<ImageFile>> ImageStreamer::CreateFile(const std::string& name,
                                                                     uint64_t size) {
  ASSIGN_OR_RETURN(Pipe pipe, Begin(name));
  return std::make_unique<File>(std::move(pipe), size);
}

absl::StatusOr<PageSink> ImageStreamer::CreatePages(uint32_t pages_id) {
  return PageSink::ToStream(*this, pages_id);
}

absl::Status ImageStreamer::FinishPages() {
  if (pages_.writer == nullptr) return absl::OkStatus();
  RETURN_IF_ERROR(pages_.writer->Finish());
  pages_.writer.reset();
  pages_.end.Reset();
  return absl::OkStatus();
}

absl::Status ImageStreamer::BeginPages(uint32_t pages_id, const PagesOwner& /*owner*/,
                                       uint64_t /*bytes*/) {
  RETURN_IF_ERROR(FinishPages());
  ASSIGN_OR_RETURN(pages_, Begin(ImageName(ImageKind::kPages, pages_id)));
  return absl::OkStatus();
}

absl::StatusOr<Block> ImageStreamer::TakeBlock() { return pages_.writer->Take(); }

absl::Status ImageStreamer::Put(std::span<const PageRun> /*runs*/, Block block) {
  return pages_.writer->Put(std::move(block));
}

absl::Status ImageStreamer::Commit(bool /*sync*/) {
  if (inventory_.empty()) {
    return absl::InternalError("a dump without an inventory cannot be committed");
  }
  RETURN_IF_ERROR(FinishPages());
  ASSIGN_OR_RETURN(const Pipe pipe, Begin(ImageName(ImageKind::kInventory)));
  RETURN_IF_ERROR(pipe.writer->Put(inventory_));
  RETURN_IF_ERROR(pipe.writer->Finish());
  // What was in other pipes is lost with the streamer, which closes its socket then.
  char end = 0;
  if (recv(socket_.get(), &end, 1, MSG_PEEK | MSG_DONTWAIT) == 0) return StreamerGone(EPIPE);
  return absl::OkStatus();
}

}  // namespace dumpctl
