// A C++ server and its clients, in two processes, with 500 connections of TCP and of unix sockets
// that epolls watch at either end. On each of them a number goes to and fro without pause, one
// more each time.
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr int kConnections = 500;
constexpr uint64_t kLeastRounds = 20;

[[noreturn]] void End(std::string_view verdict, int status) {
  std::printf("%.*s\n", static_cast<int>(verdict.size()), verdict.data());
  std::fflush(stdout);
  _exit(status);
}

[[noreturn]] void Fail(const std::string& message) { End("FAIL: " + message, 1); }

void Require(bool condition, const char* what) {
  if (!condition) Fail(std::string("cannot ") + what);
}

// A connection of TCP over loopback: who connected, and who accepted.
std::pair<int, int> ConnectTcp(int listening, const sockaddr_in& address) {
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  Require(connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
          "connect");
  const int server = accept(listening, nullptr, nullptr);
  Require(server >= 0, "accept");
  return {client, server};
}

std::pair<int, int> ConnectUnix() {
  std::array<int, 2> pair;
  Require(socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) == 0, "make a pair");
  return {pair[0], pair[1]};
}

// The numbers at one end of each connection.
class Player {
 public:
  explicit Player(std::vector<int> sockets)
      : sockets_(std::move(sockets)), expected_(sockets_.size()), epoll_(epoll_create1(0)) {
    for (size_t i = 0; i < sockets_.size(); ++i) {
      epoll_event event = {.events = EPOLLIN, .data = {.u64 = i}};
      Require(epoll_ctl(epoll_, EPOLL_CTL_ADD, sockets_[i], &event) == 0, "watch");
    }
  }

  // Sends the first numbers; those of the other one begin with one.
  void Serve() {
    for (size_t i = 0; i < sockets_.size(); ++i) {
      expected_[i] = 1;
      Send(i, 0);
    }
  }

  // Answers what comes within some milliseconds.
  void Play() {
    std::array<epoll_event, 64> events;
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 5);
    for (int i = 0; i < count; ++i) Answer(events[static_cast<size_t>(i)].data.u64);
  }

  // Whether every number has reached `least`.
  bool HaveReached(uint64_t least) const {
    for (const uint64_t number : expected_) {
      if (number < least) return false;
    }
    return true;
  }

  uint64_t Greatest() const {
    uint64_t greatest = 0;
    for (const uint64_t number : expected_) greatest = std::max(greatest, number);
    return greatest;
  }

 private:
  void Answer(size_t i) {
    uint64_t number = 0;
    if (recv(sockets_[i], &number, sizeof number, MSG_WAITALL) != sizeof number) {
      Fail("connection " + std::to_string(i) + " has ended");
    }
    if (number != expected_[i]) {
      Fail("connection " + std::to_string(i) + " says " + std::to_string(number) + " after " +
           std::to_string(expected_[i]));
    }
    expected_[i] = number + 2;
    Send(i, number + 1);
  }

  void Send(size_t i, uint64_t number) {
    if (send(sockets_[i], &number, sizeof number, MSG_NOSIGNAL) != sizeof number) {
      Fail("connection " + std::to_string(i) + " takes nothing");
    }
  }

  std::vector<int> sockets_;
  std::vector<uint64_t> expected_;  // what comes next on each of them
  int epoll_;
};

bool IsTold() { return access("go", F_OK) == 0; }

}  // namespace

int main() {
  const int listening = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(5001);
  Require(bind(listening, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "bind");
  Require(listen(listening, 5) == 0, "listen");
  std::vector<int> clients, servers;
  for (int i = 0; i < kConnections; ++i) {
    const auto [client, server] = i % 2 == 0 ? ConnectTcp(listening, address) : ConnectUnix();
    clients.push_back(client);
    servers.push_back(server);
  }

  const pid_t child = fork();
  Require(child >= 0, "fork");
  for (const int fd : child == 0 ? servers : clients) close(fd);
  if (child == 0) {
    Player player(clients);
    for (;;) player.Play();
  }
  Player player(servers);
  player.Serve();
  while (!player.HaveReached(kLeastRounds)) player.Play();
  std::puts("ready");
  std::fflush(stdout);
  while (!IsTold()) player.Play();

  const uint64_t goal = player.Greatest() + kLeastRounds;
  const auto deadline = steady_clock::now() + 30s;
  while (!player.HaveReached(goal)) {
    player.Play();
    if (steady_clock::now() > deadline) Fail("not all connections go on");
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  End("PASS", 0);
}
