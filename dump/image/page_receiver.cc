#include "dump/image/page_receiver.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dump/image/image_reader.h"
#include "dump/image/page_server_protocol.h"
#include "dump/image/page_sink.h"
#include "dump/image/run_mark.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"
#include "dumpctl/whole_io.h"

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
  Receiving(BorrowedFd socket, ImageDirectory& directory, const ParentImages* parent,
            const std::function<absl::Status()>& may_go_on)
      : socket_(socket), directory_(directory), parent_(parent), may_go_on_(may_go_on) {}

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
      if (head->command == PageServerHead::kClose) {
        mark_ = head->address;
        break;
      }
      RETURN_IF_ERROR(Follow(*head));
      got = 0;
    }
    RETURN_IF_ERROR(Leave());
    if (parked_) RETURN_IF_ERROR(Keep(*parked_));
    RETURN_IF_ERROR(KeepMark());
    return received_;
  }

  absl::Status Answer(const void* bytes, size_t size) const {
    for (std::string_view left(static_cast<const char*>(bytes), size); !left.empty();) {
      const ssize_t sent = send(socket_.get(), left.data(), left.size(), MSG_NOSIGNAL);
      if (sent < 0 && (errno == EINTR || errno == EAGAIN)) {
        if (may_go_on_) RETURN_IF_ERROR(may_go_on_());
        continue;
      }
      if (sent < 0) return BadPeer("has ended before it was answered");
      left.remove_prefix(static_cast<size_t>(sent));
    }
    return absl::OkStatus();
  }

 private:
  std::string_view Bytes(size_t size) const { return {buffer_->data(), size}; }

  absl::Status Receive(size_t size, size_t at = 0) {
    while (size > 0) {
      if (may_go_on_) RETURN_IF_ERROR(may_go_on_());
      const ssize_t got = recv(socket_.get(), buffer_->data() + at, size, 0);
      if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
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
    if (head.command == PageServerHead::kAskParent) return AnswerForParent(head);
    return BadPeer(
        absl::StrCat("sent command ", head.command, ", which this version does not serve"));
  }

  absl::StatusOr<PagesOwner> ToldOwner(uint64_t object) const {
    auto owner = OwnerOf(object);
    if (!owner.ok()) return BadPeer(absl::StrCat("sent ", std::string(owner.status().message())));
    return owner;
  }

  absl::Status AnswerForParent(const PageServerHead& head) {
    ASSIGN_OR_RETURN(const PagesOwner owner, ToldOwner(head.object));
    int32_t has = 0;
    if (parent_ != nullptr && IsOfRun(owner, head.address)) {
      ASSIGN_OR_RETURN(const auto pages, parent_->Pages(owner.kind, owner.id));
      // Who has sent them does not ask which of them are there still.
      has = pages && pages->whole ? 1 : 0;
    }
    return Answer(&has, sizeof has);
  }

  // Who does not say which run it means, or has sent the parent images without saying it, knows.
  bool IsOfRun(const PagesOwner& owner, uint64_t mark) {
    if (mark == 0) return true;
    if (!sent_) {
      sent_ = ReadFoundImage(absl::StrCat(parent_->directory(), "/", kRunMarkFile));
    }
    if (absl::IsNotFound(sent_->status())) return true;
    const auto line = PagemapLine(parent_->fd(), ImageName(owner.kind, owner.id));
    return sent_->ok() && line.ok() && HasSent(**sent_, mark, *line);
  }

  // When all pagemaps are written.
  absl::Status KeepMark() {
    if (mark_ == 0) return absl::OkStatus();
    std::string text = RunMarkLine(mark_);
    for (const std::string& name : kept_) {
      ASSIGN_OR_RETURN(const std::string line, PagemapLine(directory_.staging(), name));
      text += line;
    }
    ASSIGN_OR_RETURN(const auto file, directory_.CreateFile(kRunMarkFile, text.size()));
    return file->Append(text);
  }

  absl::Status Open(const PageServerHead& head) {
    RETURN_IF_ERROR(Leave());
    ASSIGN_OR_RETURN(const PagesOwner owner, ToldOwner(head.object));
    if (parked_ && parked_object_ == head.object) {
      sink_ = std::exchange(parked_, std::nullopt);
    } else {
      if (!known_.insert(head.object).second) return BadPeer("sent the same object twice");
      const auto number = static_cast<uint32_t>(kFirstPagesId + received_.objects);
      ASSIGN_OR_RETURN(PageSink sink, directory_.CreatePages(number));
      sink.BelongTo(owner);
      sink_ = std::move(sink);
      ++received_.objects;
    }
    object_ = head.object;
    end_ = 0;
    held_.reset();
    next_held_ = 0;
    if (parent_ != nullptr) {
      ASSIGN_OR_RETURN(held_, parent_->Pages(owner.kind, owner.id));
    }
    const char has_parent = held_ ? 1 : 0;
    return Answer(&has_parent, sizeof has_parent);
  }

  absl::Status Add(const PageServerHead& head) {
    constexpr uint16_t kKnown = PageServerHead::kLazy | PageServerHead::kPresent;
    const bool present = (head.flags & PageServerHead::kPresent) != 0;
    const bool in_parent = head.flags == PageServerHead::kParent;
    if (!sink_ || head.object != object_)
      return BadPeer("sent pages of another object than it said");
    if (!in_parent && (!present || (head.flags & ~kKnown) != 0)) {
      return BadPeer(absl::StrCat("sent pages with flags ", head.flags,
                                  ", which this version does not serve"));
    }
    if (head.pages == 0 || head.pages > kMostPages || head.address % kImagePageSize != 0 ||
        head.address < end_ || head.address / kImagePageSize + head.pages > kMostPages) {
      return BadPeer("sent pages out of order");
    }
    end_ = head.address + head.pages * kImagePageSize;
    if (in_parent) return LeaveToParent(head);
    RETURN_IF_ERROR(Copy(head.pages * kImagePageSize));
    sink_->Account(RemoteAddress(head.address), head.pages,
                   (head.flags & PageServerHead::kLazy) != 0);
    received_.pages += head.pages;
    return absl::OkStatus();
  }

  absl::Status LeaveToParent(const PageServerHead& head) {
    if (!IsHeld(RemoteAddress(head.address), RemoteAddress(end_))) {
      return BadPeer(absl::StrCat("leaves pages from 0x", absl::Hex(head.address),
                                  " on to previous images that do not hold them; give those that "
                                  "it has sent before (--prev-images-dir)"));
    }
    sink_->AccountInParent(RemoteAddress(head.address), head.pages);
    received_.pages_in_parent += head.pages;
    return absl::OkStatus();
  }

  // All of it, by the parent images. Ascending addresses only.
  bool IsHeld(RemoteAddress at, RemoteAddress end) {
    if (!held_) return false;
    for (; next_held_ < held_->runs.size(); ++next_held_) {
      const PageRun& run = held_->runs[next_held_];
      if (run.start > at) return false;
      // The rest of it may be asked for next.
      if (end <= run.end()) return true;
      if (at < run.end()) at = run.end();
    }
    return false;
  }

  absl::Status Copy(uint64_t size) {
    for (uint64_t offset = sink_->offset(); size > 0;) {
      const size_t piece = static_cast<size_t>(std::min<uint64_t>(size, kPiece));
      RETURN_IF_ERROR(Receive(piece));
      const int error = WriteAllAt(sink_->file(), Bytes(piece), offset);
      if (error != 0) return ImageWriteError(error, "memory pages");
      offset += piece;
      size -= piece;
    }
    return absl::OkStatus();
  }

  // Ends what is open: its pagemap is complete. The first object may be opened before it is known
  // which comes first, and once more for its pages.
  absl::Status Leave() {
    if (!sink_) return absl::OkStatus();
    PageSink left = *std::exchange(sink_, std::nullopt);
    if (received_.objects > 1 || received_.pages > 0 || received_.pages_in_parent > 0) {
      return Keep(left);
    }
    parked_ = std::move(left);
    parked_object_ = object_;
    return absl::OkStatus();
  }

  absl::Status Keep(const PageSink& sink) {
    ASSIGN_OR_RETURN(const ImageWriter pagemap, sink.Pagemap(sink.owner().kind, sink.owner().id));
    kept_.push_back(pagemap.name());
    return directory_.Write(pagemap);
  }

  BorrowedFd socket_;
  ImageDirectory& directory_;
  const ParentImages* parent_;
  const std::function<absl::Status()>& may_go_on_;
  std::unique_ptr<std::array<char, kPiece>> buffer_ = std::make_unique<std::array<char, kPiece>>();
  std::optional<PageSink> sink_;
  std::optional<PageSink> parked_;  // the first one, while it has no pages
  uint64_t parked_object_ = 0;
  uint64_t object_ = 0;
  std::optional<StandingPages> held_;  // by the parent images, of it
  size_t next_held_ = 0;
  uint64_t end_ = 0;  // of the pages of it that have come
  std::set<uint64_t> known_;
  std::vector<std::string> kept_;                    // pagemaps
  uint64_t mark_ = 0;                                // of the dump, if it says one
  std::optional<absl::StatusOr<std::string>> sent_;  // the parent images' kRunMarkFile
  ReceivedPages received_;
};

}  // namespace

absl::StatusOr<ReceivedPages> ReceivePages(BorrowedFd socket, ImageDirectory& directory,
                                           const ParentImages* parent, bool sync,
                                           const std::function<absl::Status()>& may_go_on) {
  constexpr timeval kBetweenQuestions = {.tv_sec = 0, .tv_usec = 100'000};
  for (const int wait : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    if (setsockopt(socket.get(), SOL_SOCKET, wait, &kBetweenQuestions, sizeof kBetweenQuestions) <
        0) {
      return absl::ErrnoToStatus(errno, "having the connection of the dump looked after");
    }
  }
  Receiving receiving(socket, directory, parent, may_go_on);
  ASSIGN_OR_RETURN(ReceivedPages received, receiving.Run());
  RETURN_IF_ERROR(directory.CommitPages(sync));
  constexpr int32_t kAllIsWell = 0;
  received.told = receiving.Answer(&kAllIsWell, sizeof kAllIsWell).ok();
  return received;
}

}  // namespace dumpctl
