#include "dump/session/tracking_holder.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dumpctl/status_macros.h"

namespace dumpctl {
namespace {

// One packet each. Both ends are this very program, or another version of it: it says which.
constexpr uint32_t kVersion = 2;
struct Head {
  uint32_t version = kVersion;
  uint32_t tasks = 0;
  TrackingWay way = TrackingWay::kWriteWatch;
  uint32_t reserved = 0;
  char run_id[64] = {};
};
struct TaskPacket {
  int32_t pid = 0;
  uint32_t has_sent = 0;
  uint64_t identity = 0;
};
constexpr char kAsk = 'a';
constexpr char kTake = 't';
constexpr char kDone = 'd';
constexpr size_t kMostDescriptors = 3;
constexpr timeval kPatience = {.tv_sec = 5, .tv_usec = 0};

struct Address {
  sockaddr_un name = {.sun_family = AF_UNIX};
  socklen_t size = 0;
};

Address AddressOf(pid_t pid, uint64_t start_time) {
  const std::string text = absl::StrCat("dumpctl-tracking-", pid, "-", start_time);
  Address address;
  std::memcpy(address.name.sun_path + 1, text.data(), text.size());
  address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  return address;
}

UniqueFd NewSocket() { return UniqueFd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)); }

bool Send(int socket, const void* bytes, size_t size, std::span<const int> fds = {}) {
  iovec data = {const_cast<void*>(bytes), size};
  alignas(cmsghdr) char control[CMSG_SPACE(kMostDescriptors * sizeof(int))] = {};
  msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(head), fds.data(), fds.size_bytes());
  }
  ssize_t sent;
  while ((sent = sendmsg(socket, &message, MSG_NOSIGNAL)) < 0 && errno == EINTR) {
  }
  return sent == static_cast<ssize_t>(size);
}

// A packet of exactly that size, and the descriptors with it.
bool Receive(int socket, void* bytes, size_t size, std::vector<UniqueFd>* fds = nullptr) {
  iovec data = {bytes, size};
  alignas(cmsghdr) char control[CMSG_SPACE(kMostDescriptors * sizeof(int))];
  msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  ssize_t got;
  while ((got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
  }
  if (got < 0) return false;
  std::vector<UniqueFd> taken;
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr;
       head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
      taken.emplace_back(fd);
    }
  }
  if (fds != nullptr) *fds = std::move(taken);
  return got == static_cast<ssize_t>(size) && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
}

bool IsTrusted(int socket) {
  ucred peer = {};
  socklen_t size = sizeof peer;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return false;
  return peer.uid == 0 || peer.uid == geteuid();
}

void LosePatience(int socket) {
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
}

// --- The holder's own life. It ends by _exit alone.

struct Held {
  TaskPacket packet;
  UniqueFd watch;
  UniqueFd pidfd;
  UniqueFd sent;  // if packet.has_sent
};

class Holder {
 public:
  explicit Holder(int dumper) : dumper_(dumper) {}

  [[noreturn]] void Run() {
    if (!TakeOver()) _exit(0);
    for (;;) {
      if (!WaitForChange()) _exit(0);
      if ((polled_.front().revents & POLLIN) != 0) Answer();
    }
  }

 private:
  // From the dumper, which may end before it has anything to give.
  bool TakeOver() {
    struct {
      Address address;
      Head head;
    } given;
    if (!Receive(dumper_, &given, sizeof given)) return false;
    head_ = given.head;
    for (uint32_t i = 0; i < head_.tasks; ++i) {
      Held held;
      std::vector<UniqueFd> fds;
      if (!Receive(dumper_, &held.packet, sizeof held.packet, &fds) ||
          fds.size() != (held.packet.has_sent != 0 ? 3 : 2)) {
        return false;
      }
      held.watch = std::move(fds[0]);
      held.pidfd = std::move(fds[1]);
      if (fds.size() == 3) held.sent = std::move(fds[2]);
      held_.push_back(std::move(held));
    }
    listening_ = NewSocket();
    int error = 0;
    if (!listening_ ||
        bind(listening_.get(), reinterpret_cast<const sockaddr*>(&given.address.name),
             given.address.size) < 0 ||
        listen(listening_.get(), 1) < 0) {
      error = errno;
    }
    Send(dumper_, &error, sizeof error);
    close(dumper_);
    return error == 0;
  }

  // False when the root has ended. Of others that have, nothing is held any more.
  bool WaitForChange() {
    polled_.assign(1, {.fd = listening_.get(), .events = POLLIN, .revents = 0});
    for (const Held& held : held_) polled_.push_back({held.pidfd.get(), POLLIN, 0});
    while (poll(polled_.data(), polled_.size(), -1) < 0) {
      if (errno != EINTR) return false;
    }
    if (polled_[1].revents != 0) return false;
    for (size_t i = held_.size(); i-- > 1;) {
      if (polled_[i + 1].revents != 0) held_.erase(held_.begin() + static_cast<ptrdiff_t>(i));
    }
    return true;
  }

  void Answer() {
    const UniqueFd peer(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!peer || !IsTrusted(peer.get())) return;
    LosePatience(peer.get());
    char wanted = 0;
    if (!Receive(peer.get(), &wanted, 1)) return;
    const bool take = wanted == kTake;
    if (!take && wanted != kAsk) return;
    // Whoever takes over may start another holder of that name.
    if (take) listening_.Reset();
    head_.tasks = static_cast<uint32_t>(held_.size());
    // A record is there to be read. Of a watch nobody else is to have a hold.
    const bool give = take || head_.way == TrackingWay::kSoftDirty;
    bool sent = Send(peer.get(), &head_, sizeof head_);
    for (const Held& held : held_) {
      std::vector<int> fds;
      if (held.sent) fds.push_back(held.sent.get());
      if (give) fds.push_back(held.watch.get());
      sent = sent && Send(peer.get(), &held.packet, sizeof held.packet, fds);
    }
    if (!take) return;
    // Not before they have been received: what is under way holds them, too, but only so long as
    // the other end lives.
    char done = 0;
    Receive(peer.get(), &done, 1);
    _exit(0);
  }

  int dumper_;
  Head head_;
  std::vector<Held> held_;
  UniqueFd listening_;
  std::vector<pollfd> polled_;
};

[[noreturn]] void BecomeHolder(int socket) {
  setsid();
  if (chdir("/") < 0) _exit(1);
  prctl(PR_SET_NAME, "dumpctl-holder");
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTSTP}) {
    (void)::signal(signal, SIG_IGN);
  }
  (void)::signal(SIGTERM, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3 && null >= 0; ++fd) dup2(null, fd);
  constexpr int kSocket = 3;
  if (socket != kSocket) dup2(socket, kSocket);
  syscall(SYS_close_range, kSocket + 1, ~0u, 0);
  Holder(kSocket).Run();
}

absl::StatusOr<std::optional<TrackedTree>> Request(const Target& root, char wanted) {
  const Address address = AddressOf(root.pid, root.stat.start_time);
  const UniqueFd socket = NewSocket();
  if (!socket) return absl::ErrnoToStatus(errno, "socket");
  LosePatience(socket.get());
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address.name), address.size) < 0) {
    if (errno == ECONNREFUSED) return std::nullopt;
    return absl::ErrnoToStatus(errno, "connecting to the holder of what is tracked");
  }
  // Somebody else's by that name tells us nothing.
  Head head;
  if (!IsTrusted(socket.get()) || !Send(socket.get(), &wanted, 1) ||
      !Receive(socket.get(), &head, sizeof head) || head.version != kVersion) {
    return std::nullopt;
  }
  TrackedTree tree;
  tree.run_id.assign(head.run_id, strnlen(head.run_id, sizeof head.run_id));
  tree.way = head.way;
  for (uint32_t i = 0; i < head.tasks; ++i) {
    TaskPacket packet;
    std::vector<UniqueFd> fds;
    if (!Receive(socket.get(), &packet, sizeof packet, &fds)) return std::nullopt;
    WatchedTask task{.pid = packet.pid, .identity = packet.identity};
    const bool given = wanted == kTake || head.way == TrackingWay::kSoftDirty;
    const size_t sent = packet.has_sent != 0 ? 1 : 0;
    if (fds.size() != sent + (given ? 1 : 0)) return std::nullopt;
    if (given) task.watch = std::move(fds.back());
    if (sent == 1) task.sent = std::move(fds.front());
    tree.tasks.push_back(std::move(task));
  }
  if (wanted == kTake) Send(socket.get(), &kDone, 1);
  return tree;
}

}  // namespace

absl::StatusOr<uint64_t> IdentityOf(BorrowedFd pidfd) {
  struct stat stat = {};
  if (fstat(pidfd.get(), &stat) < 0) return absl::ErrnoToStatus(errno, "fstat of a pidfd");
  return stat.st_ino;
}

absl::StatusOr<UniqueFd> KeepRuns(std::span<const PageRun> runs) {
  UniqueFd kept(memfd_create("dumpctl-sent", MFD_CLOEXEC));
  if (!kept) return absl::ErrnoToStatus(errno, "memfd_create");
  std::vector<uint64_t> numbers;
  numbers.reserve(2 * runs.size());
  for (const PageRun& run : runs) {
    numbers.push_back(run.start.value());
    numbers.push_back(run.pages);
  }
  std::span<const std::byte> rest = std::as_bytes(std::span(numbers));
  while (!rest.empty()) {
    const ssize_t written = write(kept.get(), rest.data(), rest.size());
    if (written < 0) return absl::ErrnoToStatus(errno, "keeping what a page server has");
    rest = rest.subspan(static_cast<size_t>(written));
  }
  return kept;
}

absl::StatusOr<std::vector<PageRun>> ReadRuns(BorrowedFd kept) {
  struct stat stat = {};
  if (fstat(kept.get(), &stat) < 0) return absl::ErrnoToStatus(errno, "fstat");
  std::vector<uint64_t> numbers(static_cast<size_t>(stat.st_size) / sizeof(uint64_t) / 2 * 2);
  std::span<std::byte> rest = std::as_writable_bytes(std::span(numbers));
  while (!rest.empty()) {
    const auto at = static_cast<off_t>(numbers.size() * sizeof(uint64_t) - rest.size());
    const ssize_t got = pread(kept.get(), rest.data(), rest.size(), at);
    if (got <= 0) return absl::DataLossError("what a page server has is kept by half");
    rest = rest.subspan(static_cast<size_t>(got));
  }
  std::vector<PageRun> runs;
  runs.reserve(numbers.size() / 2);
  for (size_t i = 0; i < numbers.size(); i += 2) {
    runs.push_back({RemoteAddress(numbers[i]), numbers[i + 1]});
  }
  return runs;
}

absl::StatusOr<TrackingHolder> TrackingHolder::Start() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
    return absl::ErrnoToStatus(errno, "socketpair");
  }
  UniqueFd ours(ends[0]);
  const UniqueFd theirs(ends[1]);
  const pid_t pid = fork();
  if (pid < 0) return absl::ErrnoToStatus(errno, "starting the holder of what is tracked");
  if (pid == 0) {
    ours.Reset();
    BecomeHolder(theirs.get());
  }
  return TrackingHolder(std::move(ours));
}

absl::Status TrackingHolder::Keep(const Target& root, const TrackedTree& tree,
                                  std::span<const BorrowedFd> pidfds) {
  struct {
    Address address;
    Head head;
  } given{.address = AddressOf(root.pid, root.stat.start_time)};
  given.head.tasks = static_cast<uint32_t>(tree.tasks.size());
  given.head.way = tree.way;
  std::copy_n(tree.run_id.data(), std::min(tree.run_id.size(), sizeof given.head.run_id - 1),
              given.head.run_id);
  LosePatience(socket_.get());
  bool sent = Send(socket_.get(), &given, sizeof given);
  for (size_t i = 0; sent && i < tree.tasks.size(); ++i) {
    const WatchedTask& task = tree.tasks[i];
    const TaskPacket packet{
        .pid = task.pid, .has_sent = task.sent ? 1u : 0u, .identity = task.identity};
    const int fds[] = {task.watch.get(), pidfds[i].get(), task.sent.get()};
    sent = Send(socket_.get(), &packet, sizeof packet, std::span(fds).first(task.sent ? 3 : 2));
  }
  int error = 0;
  if (!sent || !Receive(socket_.get(), &error, sizeof error)) {
    return absl::UnavailableError("the process that is to hold it has ended");
  }
  if (error == EADDRINUSE) {
    return absl::UnavailableError(absl::StrCat("another one tracks process ", root.pid));
  }
  if (error != 0) return absl::ErrnoToStatus(error, "the process that is to hold it");
  return absl::OkStatus();
}

absl::StatusOr<std::optional<TrackedTree>> AskHolder(const Target& root) {
  return Request(root, kAsk);
}

absl::StatusOr<std::optional<TrackedTree>> TakeFromHolder(const Target& root) {
  return Request(root, kTake);
}

}  // namespace dumpctl
