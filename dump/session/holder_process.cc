#include "dump/session/holder_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "dump/mm/write_watch.h"
#include "dump/session/holder_packets.h"
#include "dumpctl/unique_fd.h"

namespace dumpctl::holder {
namespace {

struct Held {
  TaskPacket packet;
  UniqueFd watch;
  UniqueFd pidfd;
  UniqueFd sent;   // if packet.has_sent
  UniqueFd claim;  // if packet.has_claim
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
    Handover given;
    if (!Receive(dumper_, &given, sizeof given)) return false;
    head_ = given.head;
    for (uint32_t i = 0; i < head_.tasks; ++i) {
      Held held;
      std::vector<UniqueFd> fds;
      if (!Receive(dumper_, &held.packet, sizeof held.packet, &fds)) return false;
      const size_t more = held.packet.has_sent + held.packet.has_claim;
      if (fds.size() != 2 + more) return false;
      held.pidfd = std::move(fds[0]);
      held.watch = std::move(fds[1]);
      if (held.packet.has_sent != 0) held.sent = std::move(fds[2]);
      if (held.packet.has_claim != 0) held.claim = std::move(fds.back());
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
    const std::vector<Held*> standing = Standing();
    head_.tasks = static_cast<uint32_t>(standing.size());
    // A record is there to be read. Of a watch nobody else is to have a hold.
    const bool give = take || head_.way == TrackingWay::kSoftDirty;
    bool sent = Send(peer.get(), &head_, sizeof head_);
    for (Held* const held : standing) {
      TaskPacket packet = held->packet;
      if (!take) packet.has_claim = 0;
      std::vector<int> fds;
      if (give) fds.push_back(held->watch.get());
      if (held->sent) fds.push_back(held->sent.get());
      if (packet.has_claim != 0) fds.push_back(held->claim.get());
      sent = sent && Send(peer.get(), &packet, sizeof packet, fds);
      if (take) held->claim.Reset();
    }
    if (!take) return;
    // That we have let go of all claims.
    sent = sent && Send(peer.get(), &kDone, 1);
    // Not before they have been received: what is under way holds them, too, but only so long as
    // the other end lives.
    char done = 0;
    Receive(peer.get(), &done, 1);
    _exit(0);
  }

  // Whose memory is the one that was watched. After an execve(2) there is another one, which
  // somebody else may watch, and nobody would tell the two apart.
  std::vector<Held*> Standing() {
    std::vector<Held*> standing;
    for (Held& held : held_) {
      const bool watched = head_.way == TrackingWay::kWriteWatch;
      if (!watched || WriteWatch::IsAlive(BorrowedFd(held.watch))) standing.push_back(&held);
    }
    return standing;
  }

  int dumper_;
  Head head_;
  std::vector<Held> held_;
  UniqueFd listening_;
  std::vector<pollfd> polled_;
};

}  // namespace

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

}  // namespace dumpctl::holder
