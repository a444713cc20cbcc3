#include "dump/image/page_server_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "dump/image/miss_peer.h"
#include "dump/image/server_address.h"
#include "dumpctl/failure.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// Above all that a task can have.
constexpr RemoteAddress kEverything(~uint64_t{0});

// How long an old server, which has nothing else to do, may take for its first answer.
absl::Duration FirstAnswer(int socket) {
  constexpr absl::Duration kAtLeast = absl::Milliseconds(500);
  tcp_info info = {};
  socklen_t size = sizeof info;
  if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) < 0) return kAtLeast;
  return std::max(kAtLeast, 10 * absl::Microseconds(info.tcpi_rtt));
}

}  // namespace

absl::StatusOr<std::unique_ptr<PageServerClient>> PageServerClient::Connect(
    const ServerPlace& place, const PagesOwner& first, const ParentQuestion& question,
    absl::Duration patience, std::function<absl::Status()> may_go_on) {
  const std::string name = absl::StrCat("page server ", place.address, " port ", place.port);
  ASSIGN_OR_RETURN(const SocketAddress address, SocketAddress::Parse(place.address, place.port));
  UniqueFd socket(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return absl::ErrnoToStatus(errno, "socket");
  // Also the time that connect(2) may take.
  const timeval limit = absl::ToTimeval(patience);
  setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (connect(socket.get(), address.get(), address.size()) < 0) {
    return MakeFailure(Failure::kPeer, absl::ErrnoToStatusCode(errno),
                       absl::StrCat(name, ": ", std::strerror(errno),
                                    "; start one there (dumpctl page-server), or see to the way"));
  }
  const int one = 1;
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  std::unique_ptr<PageServerClient> client(
      new PageServerClient(std::move(socket), name, patience, may_go_on));
  RETURN_IF_ERROR(client->AskForHeads(first));
  RETURN_IF_ERROR(client->AskForParents(question));
  ASSIGN_OR_RETURN(Outlet outlet, Outlet::Open(BorrowedFd(client->socket_),
                                               absl::StrCat("memory pages to ", name), patience));
  ASSIGN_OR_RETURN(client->writer_, WriteBehind::Start(std::move(outlet), std::move(may_go_on)));
  return client;
}

absl::Status PageServerClient::Silent() const {
  return MakeFailure(
      Failure::kTimeout, absl::StatusCode::kDeadlineExceeded,
      absl::StrCat(name_, " did not answer for ", absl::FormatDuration(patience_).c_str(),
                   "; see whether it is one, or give more time (--timeout)"));
}

absl::Status PageServerClient::Ended(int error) const {
  return MakeFailure(Failure::kPeer, absl::StatusCode::kFailedPrecondition,
                     absl::StrCat(name_, " has ended the connection",
                                  error == 0 ? "" : absl::StrCat(" (", std::strerror(error), ")"),
                                  " before it had all pages; see its log"));
}

absl::StatusOr<bool> PageServerClient::AwaitAnswer(absl::Duration patience) const {
  constexpr absl::Duration kBetweenQuestions = absl::Milliseconds(100);
  const absl::Time deadline = absl::Now() + patience;
  for (;;) {
    if (may_go_on_) RETURN_IF_ERROR(may_go_on_());
    const absl::Duration left = deadline - absl::Now();
    pollfd look = {.fd = socket_.get(), .events = POLLIN, .revents = 0};
    const int ready = poll(&look, 1,
                           static_cast<int>(absl::ToInt64Milliseconds(
                               std::clamp(left, absl::ZeroDuration(), kBetweenQuestions))));
    if (ready < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, name_);
    if (ready > 0) return true;
    if (left <= absl::ZeroDuration()) return false;
  }
}

absl::Status PageServerClient::ReadAnswer(char* bytes, size_t size, absl::Duration patience) const {
  while (size > 0) {
    ASSIGN_OR_RETURN(const bool answered, AwaitAnswer(patience));
    if (!answered) return Silent();
    const ssize_t got = recv(socket_.get(), bytes, size, MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) return Ended(got < 0 ? errno : 0);
    bytes += got;
    size -= static_cast<size_t>(got);
  }
  return absl::OkStatus();
}

absl::Status PageServerClient::AskForHeads(const PagesOwner& first) {
  open_ = ObjectOf(first);
  unanswered_ = 1;
  const std::string head =
      FormatHead({.command = PageServerHead::kOpen, .object = open_}, HeadSize::kOld);
  // The last field of either is the object: what an old head has there, a new one has as its
  // address, which says nothing in this one.
  const std::string_view object = std::string_view(head).substr(head.size() - sizeof open_);
  if (send(socket_.get(), head.data(), head.size(), MSG_NOSIGNAL) < 0) return Ended(errno);
  ASSIGN_OR_RETURN(const bool answered, AwaitAnswer(FirstAnswer(socket_.get())));
  if (!answered) {
    heads_ = HeadSize::kNew;
    if (send(socket_.get(), object.data(), object.size(), MSG_NOSIGNAL) < 0) return Ended(errno);
    ASSIGN_OR_RETURN(const bool answered_now, AwaitAnswer(patience_));
    if (!answered_now) return Silent();
  }
  char end = 0;
  if (recv(socket_.get(), &end, 1, MSG_PEEK | MSG_DONTWAIT) == 0) return Ended(0);
  return absl::OkStatus();
}

// In turns of what a socket takes at least while nobody reads the answers.
absl::Status PageServerClient::AskForParents(const ParentQuestion& question) {
  constexpr size_t kAtOnce = 64;
  for (size_t next = 0; next < question.owners.size();) {
    const auto turn = std::span(question.owners)
                          .subspan(next)
                          .first(std::min(kAtOnce, question.owners.size() - next));
    std::string heads;
    for (const PagesOwner& owner : turn) {
      heads += FormatHead({.command = PageServerHead::kAskParent,
                           .address = question.run_mark,
                           .object = ObjectOf(owner)},
                          heads_);
    }
    if (send(socket_.get(), heads.data(), heads.size(), MSG_NOSIGNAL) < 0) return Ended(errno);
    std::string opened(std::exchange(unanswered_, 0), '\0');
    RETURN_IF_ERROR(ReadAnswer(opened.data(), opened.size(), patience_));
    for (const PagesOwner& owner : turn) {
      int32_t has = 0;
      RETURN_IF_ERROR(ReadAnswer(reinterpret_cast<char*>(&has), sizeof has, patience_));
      if (has > 0) in_parent_.insert(ObjectOf(owner));
    }
    next += turn.size();
  }
  return absl::OkStatus();
}

std::string PageServerClient::AddHead(const PageRun& run, uint16_t flags) const {
  return FormatHead({.command = PageServerHead::kAdd,
                     .flags = flags,
                     .pages = run.pages,
                     .address = run.start.value(),
                     .object = open_},
                    heads_);
}

std::string PageServerClient::LeftBelow(RemoteAddress address) {
  std::string heads;
  // An old head has 32 bits for them.
  constexpr uint64_t kMostPages = uint64_t{1} << 30;
  for (; said_ < left_.size() && left_[said_].start < address; ++said_) {
    for (PageRun run = left_[said_]; run.pages > 0;) {
      const uint64_t pages = std::min(run.pages, kMostPages);
      heads += AddHead({run.start, pages}, PageServerHead::kParent);
      run = {run.start + pages * kImagePageSize, run.pages - pages};
    }
  }
  return heads;
}

absl::Status PageServerClient::BeginPages(uint32_t /*pages_id*/, const PagesOwner& owner,
                                          uint64_t /*bytes*/) {
  std::string heads = LeftBelow(kEverything);
  left_.clear();
  said_ = 0;
  if (const uint64_t object = ObjectOf(owner); object != open_) {
    open_ = object;
    ++unanswered_;
    heads += FormatHead({.command = PageServerHead::kOpen, .object = object}, heads_);
  }
  return heads.empty() ? absl::OkStatus() : writer_->Put(std::move(heads));
}

absl::StatusOr<Block> PageServerClient::TakeBlock() { return writer_->Take(); }

absl::Status PageServerClient::Put(std::span<const PageRun> runs, Block block) {
  std::vector<WriteBehind::Part> parts;
  for (const PageRun& run : runs) {
    parts.push_back({LeftBelow(run.start) + AddHead(run, PageServerHead::kPresent), run.bytes()});
  }
  return writer_->Put(std::move(block), std::move(parts));
}

absl::Status PageServerClient::Finish(uint64_t run_mark) {
  RETURN_IF_ERROR(
      writer_->Put(LeftBelow(kEverything) +
                   FormatHead({.command = PageServerHead::kClose, .address = run_mark}, heads_)));
  RETURN_IF_ERROR(writer_->Finish());
  // It has been sent all. Not before: the watch would also end what is sent to a server that takes
  // nothing for a while, which is for --timeout to say.
  RETURN_IF_ERROR(MissPeer(BorrowedFd(socket_)));
  constexpr absl::Duration kAsLongAsItStands = absl::InfiniteDuration();
  // Whether it has parent images of what was opened is not asked here: it was, or nothing is left
  // to them.
  std::string answers(unanswered_, '\0');
  RETURN_IF_ERROR(ReadAnswer(answers.data(), answers.size(), kAsLongAsItStands));
  int32_t status = 0;
  RETURN_IF_ERROR(ReadAnswer(reinterpret_cast<char*>(&status), sizeof status, kAsLongAsItStands));
  if (status == 0) return absl::OkStatus();
  return MakeFailure(
      Failure::kPeer, absl::StatusCode::kFailedPrecondition,
      absl::StrCat(name_, " says that something went wrong (", status, "); see its log"));
}

}  // namespace dumpctl
