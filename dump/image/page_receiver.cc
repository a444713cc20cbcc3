#include "dump/image/page_receiver.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dump/image/page_server_protocol.h"
#include "dump/image/page_sink.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// Pages of a dump that keeps some beside its images have other numbers; so has stock.
constexpr uint32_t kFirstPagesId = 0x10001;
constexpr size_t kPiece = 1 << 20;
// No address space is larger, and sizes in bytes do not overflow.
constexpr uint64_t kMostPages = uint64_t{1} << 51;

absl::Status BadPeer(std::string_view what) {
  return MakeFailure(
      Failure::kPeer, absl::StatusCode::kFailedPrecondition,
      absl::StrCat("the dump that sends pages ", std::string(what), "; nothing of it was kept"));
}

class Receiving {
 public:
  Receiving(BorrowedFd socket, ImageDirectory& directory)
      : socket_(socket), directory_(directory) {}

  // Until the peer closes, and without telling it anything then.
  absl::StatusOr<ReceivedPages> Run() {
    RETURN_IF_ERROR(Receive(static_cast<size_t>(HeadSize::kOld)));
    const auto size =
        static_cast<size_t>(SizeOfFirstHead(Bytes(static_cast<size_t>(HeadSize::kOld))));
    size_t got = static_cast<size_t>(HeadSize::kOld);
    for (;;) {
      if (got < size) RETURN_IF_ERROR(Receive(size - got, got));
      const auto head = ParseHead(Bytes(size));
      if (!head.ok()) return BadPeer(absl::StrCat("sent ", std::string(head.status().message())));
      if (head->command == PageServerHead::kClose) break;
      RETURN_IF_ERROR(Follow(*head));
      got = 0;
    }
    RETURN_IF_ERROR(Leave());
    if (parked_) RETURN_IF_ERROR(Keep(*parked_));
    return received_;
  }

  absl::Status Answer(const void* bytes, size_t size) const {
    if (send(socket_.get(), bytes, size, MSG_NOSIGNAL) != static_cast<ssize_t>(size)) {
      return BadPeer("has ended before it was answered");
    }
    return absl::OkStatus();
  }

 private:
  std::string_view Bytes(size_t size) const { return {buffer_->data(), size}; }

  absl::Status Receive(size_t size, size_t at = 0) {
    while (size > 0) {
      const ssize_t got = recv(socket_.get(), buffer_->data() + at, size, 0);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return BadPeer(absl::StrCat("is lost: ", std::strerror(errno)));
      if (got == 0) return BadPeer("has ended before it had sent all");
      at += static_cast<size_t>(got);
      size -= static_cast<size_t>(got);
    }
    return absl::OkStatus();
  }

  absl::Status Follow(const PageServerHead& head) {
    if (head.command == PageServerHead::kOpen) return Open(head);
    if (head.command == PageServerHead::kAdd) return Add(head);
    return BadPeer(absl::StrCat("sent command ", head.command,
                                ", which this version does not serve (of incremental dumps?)"));
  }

  absl::Status Open(const PageServerHead& head) {
    RETURN_IF_ERROR(Leave());
    const auto owner = OwnerOf(head.object);
    if (!owner.ok()) return BadPeer(absl::StrCat("sent ", std::string(owner.status().message())));
    if (parked_ && parked_object_ == head.object) {
      sink_ = std::exchange(parked_, std::nullopt);
    } else {
      if (!known_.insert(head.object).second) return BadPeer("sent the same object twice");
      const auto number = static_cast<uint32_t>(kFirstPagesId + received_.objects);
      ASSIGN_OR_RETURN(PageSink sink, directory_.CreatePages(number));
      sink.BelongTo(*owner);
      sink_ = std::move(sink);
      ++received_.objects;
    }
    object_ = head.object;
    end_ = 0;
    constexpr char kNoParent = 0;
    return Answer(&kNoParent, sizeof kNoParent);
  }

  absl::Status Add(const PageServerHead& head) {
    constexpr uint16_t kKnown = PageServerHead::kLazy | PageServerHead::kPresent;
    const bool present = (head.flags & PageServerHead::kPresent) != 0;
    if (!sink_ || head.object != object_)
      return BadPeer("sent pages of another object than it said");
    if (!present || (head.flags & ~kKnown) != 0) {
      return BadPeer(absl::StrCat("sent pages with flags ", head.flags,
                                  ", which this version does not serve (of incremental dumps?)"));
    }
    if (head.pages == 0 || head.pages > kMostPages || head.address % kImagePageSize != 0 ||
        head.address < end_ || head.address / kImagePageSize + head.pages > kMostPages) {
      return BadPeer("sent pages out of order");
    }
    RETURN_IF_ERROR(Copy(head.pages * kImagePageSize));
    end_ = head.address + head.pages * kImagePageSize;
    sink_->Account(RemoteAddress(head.address), head.pages,
                   (head.flags & PageServerHead::kLazy) != 0);
    received_.pages += head.pages;
    return absl::OkStatus();
  }

  absl::Status Copy(uint64_t size) {
    for (uint64_t offset = sink_->offset(); size > 0;) {
      const size_t piece = static_cast<size_t>(std::min<uint64_t>(size, kPiece));
      RETURN_IF_ERROR(Receive(piece));
      RETURN_IF_ERROR(WriteAt(Bytes(piece), static_cast<off_t>(offset)));
      offset += piece;
      size -= piece;
    }
    return absl::OkStatus();
  }

  absl::Status WriteAt(std::string_view bytes, off_t offset) const {
    while (!bytes.empty()) {
      const ssize_t written = pwrite(sink_->file().get(), bytes.data(), bytes.size(), offset);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return ImageWriteError(errno, "memory pages");
      bytes.remove_prefix(static_cast<size_t>(written));
      offset += written;
    }
    return absl::OkStatus();
  }

  // Ends what is open: its pagemap is complete. The first object may be opened before it is known
  // which comes first, and once more for its pages.
  absl::Status Leave() {
    if (!sink_) return absl::OkStatus();
    PageSink left = *std::exchange(sink_, std::nullopt);
    if (received_.objects > 1 || received_.pages > 0) return Keep(left);
    parked_ = std::move(left);
    parked_object_ = object_;
    return absl::OkStatus();
  }

  absl::Status Keep(const PageSink& sink) {
    ASSIGN_OR_RETURN(const ImageWriter pagemap, sink.Pagemap(sink.owner().kind, sink.owner().id));
    return directory_.Write(pagemap);
  }

  BorrowedFd socket_;
  ImageDirectory& directory_;
  std::unique_ptr<std::array<char, kPiece>> buffer_ = std::make_unique<std::array<char, kPiece>>();
  std::optional<PageSink> sink_;
  std::optional<PageSink> parked_;  // the first one, while it has no pages
  uint64_t parked_object_ = 0;
  uint64_t object_ = 0;
  uint64_t end_ = 0;  // of the pages of it that have come
  std::set<uint64_t> known_;
  ReceivedPages received_;
};

}  // namespace

absl::StatusOr<ReceivedPages> ReceivePages(BorrowedFd socket, ImageDirectory& directory,
                                           bool sync) {
  Receiving receiving(socket, directory);
  ASSIGN_OR_RETURN(const ReceivedPages received, receiving.Run());
  RETURN_IF_ERROR(directory.CommitPages(sync));
  constexpr int32_t kAllIsWell = 0;
  RETURN_IF_ERROR(receiving.Answer(&kAllIsWell, sizeof kAllIsWell));
  return received;
}

}  // namespace dumpctl
