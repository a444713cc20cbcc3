#include "test/refusal/witness_sockets.h"

#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include "test/targets/unix_socket.h"

/* Runs `body` in a process that is no child of this one and goes on for ever. */
static void Outside(void (*body)(int), int fd) {
  const pid_t child = REQUIRE_SYSCALL(fork());
  if (child == 0) {
    if (REQUIRE_SYSCALL(fork()) != 0) _exit(0);
    body(fd);
    for (;;) pause();
  }
  REQUIRE(waitpid(child, NULL, 0) == child);
}

static void Hold(int fd) { (void)fd; }

static void HoldNamed(int fd) {
  (void)fd;
  Bound(SOCK_DGRAM, "outside");
}

static void ConnectFromOutside(int fd) {
  (void)fd;
  Connected(SOCK_STREAM, "listening");
}

int HalfOfAPair(int type) {
  int pair[2];
  Pair(type, pair);
  Outside(Hold, pair[1]);
  close(pair[1]);
  return pair[0];
}

static void Set(int fd, int option, int value) {
  REQUIRE_SYSCALL(setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value)));
}

static void WaitForFile(const char* name) {
  while (access(name, F_OK) != 0) SleepMs(1);
}

static void HoldListening(const char* what) {
  int listening = Listening(SOCK_STREAM, "listening", 5);
  if (strcmp(what, "pending_data") == 0) Send(Connected(SOCK_STREAM, "listening"), "early");
  if (strcmp(what, "pending_closed") == 0) close(Connected(SOCK_STREAM, "listening"));
  if (strcmp(what, "pending_outside") != 0) return;
  Outside(ConnectFromOutside, -1);
  struct pollfd waiting = {.fd = listening, .events = POLLIN};
  REQUIRE(poll(&waiting, 1, -1) == 1);
}

static void HoldDatagrams(const char* what) {
  int pair[2];
  if (strcmp(what, "external_datagrams") == 0) {
    Outside(HoldNamed, -1);
    WaitForFile("outside");
    Connected(SOCK_DGRAM, "outside");
  } else if (strcmp(what, "unnamed_peer") == 0) {
    Pair(SOCK_DGRAM, pair);
    Bound(SOCK_DGRAM, "server");
    REQUIRE(ConnectTo(pair[0], "server") == 0);
  } else if (strcmp(what, "connected_peer") == 0) {
    int server = Bound(SOCK_DGRAM, "server");
    Connected(SOCK_DGRAM, "server");
    Bound(SOCK_DGRAM, "other");
    REQUIRE(ConnectTo(server, "other") == 0);
  } else if (strcmp(what, "two_senders") == 0) {
    Bound(SOCK_DGRAM, "server");
    int named = Bound(SOCK_DGRAM, "client");
    REQUIRE(ConnectTo(named, "server") == 0);
    Send(Connected(SOCK_DGRAM, "server"), "who am I?");
  } else if (strcmp(what, "credentials") == 0) {
    Pair(SOCK_DGRAM, pair);
    Set(pair[0], SO_PASSCRED, 1);
    Send(pair[1], "it is me");
  }
}

static void HoldPair(const char* what) {
  int pair[2], inner[2];
  Pair(SOCK_STREAM, pair);
  if (strcmp(what, "option") == 0) Set(pair[0], SO_TIMESTAMP, 1);
  if (strcmp(what, "peek_offset") == 0) Set(pair[0], SO_PEEK_OFF, 2);
  if (strcmp(what, "urgent") == 0) REQUIRE(send(pair[0], "!", 1, MSG_OOB) == 1);
  if (strcmp(what, "error") == 0) {
    Send(pair[0], "never read");
    close(pair[1]);
  }
  if (strcmp(what, "timer_queued") == 0) {
    int timer = REQUIRE_SYSCALL(timerfd_create(CLOCK_MONOTONIC, 0));
    SendFiles(pair[0], "tick", &timer, 1);
    close(timer);
  }
  if (strcmp(what, "watches_queued") == 0) {
    int watches = REQUIRE_SYSCALL(inotify_init1(0));
    SendFiles(pair[0], "look", &watches, 1);
    close(watches);
  }
  if (strcmp(what, "sender_queued") == 0) {
    Pair(SOCK_STREAM, inner);
    SendFiles(inner[0], "itself", &inner[0], 1);
    close(inner[0]);
  }
}

void HoldSocket(const char* what) {
  if (strncmp(what, "pending_", 8) == 0) HoldListening(what);
  if (strcmp(what, "external_stream") == 0) HalfOfAPair(SOCK_STREAM);
  if (strcmp(what, "renamed") == 0) {
    Listening(SOCK_STREAM, "listening", 5);
    REQUIRE(rename("listening", "elsewhere") == 0);
  }
  HoldDatagrams(what);
  HoldPair(what);
}
