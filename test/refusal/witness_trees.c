#include "test/refusal/witness_trees.h"

#include <sys/file.h>
#include <sys/stat.h>

#include "test/targets/inet_socket.h"

enum { kSize = 64 << 10, kWaiting = 5000, kPort = 5002 };

static struct {
  char pattern[kSize];
  uint64_t counts[2]; /* of the two generations below */
} * shared;
static uint64_t rounds;
static int below = -1;   /* a socket that the next generation answers on */
static int waiting = -1; /* one with bytes that nobody reads */
static int deleted = -1; /* a file without a name, whose first bytes are in `page`, too */
static char* page;
static int locked = -1; /* a file that we have locked */
static int linked = -1; /* a file with one of two names */

static void Ask(int fd, uint64_t number) {
  EXPECT_EQ(sizeof(number), send(fd, &number, sizeof(number), MSG_NOSIGNAL));
  uint64_t answer = 0;
  EXPECT_EQ(sizeof(answer), recv(fd, &answer, sizeof(answer), MSG_WAITALL));
  EXPECT_EQ(number + 1, answer);
}

/* Answers for ever, and asks the next generation first where there is one. */
static void Answer(int fd, int next, uint64_t* count) {
  uint64_t number;
  while (recv(fd, &number, sizeof(number), MSG_WAITALL) == sizeof(number)) {
    if (next >= 0) Ask(next, number);
    if (count != NULL) *count = number;
    ++number;
    EXPECT_EQ(sizeof(number), send(fd, &number, sizeof(number), MSG_NOSIGNAL));
  }
  _exit(0);
}

static void CheckWaiting(void) {
  static char text[kWaiting];
  EXPECT_EQ(kWaiting, recv(waiting, text, kWaiting, MSG_PEEK | MSG_DONTWAIT));
  ExpectFilled("what waits", text, kWaiting, 21);
  int size = 0;
  EXPECT_EQ(0, ioctl(waiting, FIONREAD, &size));
  EXPECT_EQ(kWaiting, size);
}

static void SendWaiting(int fd) {
  static char text[kWaiting];
  Fill(text, kWaiting, 21);
  REQUIRE(send(fd, text, kWaiting, 0) == kWaiting);
}

static void HoldDeleted(void) {
  deleted = REQUIRE_SYSCALL(open("deleted", O_RDWR | O_CREAT, 0600));
  static char text[kSize];
  Fill(text, kSize, 22);
  REQUIRE(write(deleted, text, kSize) == kSize);
  page = (char*)REQUIRE_SYSCALL(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, deleted, 0));
  REQUIRE_SYSCALL(unlink("deleted"));
}

static void CheckDeleted(void) {
  static char text[kSize];
  EXPECT_EQ(kSize, pread(deleted, text, kSize, 0));
  ExpectFilled("the deleted file", text, kSize, 22);
  EXPECT_EQ(0, memcmp(page, text, 4096));
  EXPECT_EQ(kSize, lseek(deleted, 0, SEEK_CUR));
  struct stat now;
  EXPECT_EQ(0, fstat(deleted, &now));
  EXPECT_EQ(0, now.st_nlink);
}

static void HoldLocked(void) {
  locked = REQUIRE_SYSCALL(open("locked", O_RDWR | O_CREAT, 0600));
  REQUIRE_SYSCALL(flock(locked, LOCK_EX));
}

static void CheckLocked(void) {
  int other = open("locked", O_RDWR);
  EXPECT(other >= 0);
  EXPECT_EQ(-1, flock(other, LOCK_EX | LOCK_NB));
  close(other);
}

/* Looks for ever at what waits: nobody may ever make it look past the first of it. */
static void HoldPeeking(void) {
  int unread[2], first[2];
  REQUIRE_SYSCALL(socketpair(AF_UNIX, SOCK_DGRAM, 0, unread));
  REQUIRE_SYSCALL(socketpair(AF_UNIX, SOCK_STREAM, 0, first));
  SendWaiting(unread[1]);
  REQUIRE(send(unread[1], "second", 6, 0) == 6);
  waiting = unread[0];
  if (REQUIRE_SYSCALL(fork()) == 0) Answer(first[1], -1, NULL);
  if (REQUIRE_SYSCALL(fork()) == 0) {
    for (;;) CheckWaiting();
  }
  below = first[0];
}

static void HoldShared(void) {
  HoldLocked();
  shared = (void*)REQUIRE_SYSCALL(
      mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  Fill(shared->pattern, kSize, 20);
  HoldDeleted();
  int unread[2], first[2], second[2];
  REQUIRE_SYSCALL(socketpair(AF_UNIX, SOCK_STREAM, 0, unread));
  REQUIRE_SYSCALL(socketpair(AF_UNIX, SOCK_STREAM, 0, first));
  REQUIRE_SYSCALL(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, second));
  SendWaiting(unread[1]);
  if (REQUIRE_SYSCALL(fork()) == 0) {
    if (REQUIRE_SYSCALL(fork()) == 0) Answer(second[1], -1, &shared->counts[1]);
    Answer(first[1], second[0], &shared->counts[0]);
  }
  below = first[0];
  waiting = unread[0];
}

static void HoldLinked(void) {
  linked = REQUIRE_SYSCALL(open("first", O_RDWR | O_CREAT, 0600));
  REQUIRE_SYSCALL(link("first", "second"));
  REQUIRE_SYSCALL(unlink("first"));
}

static void HoldConnected(void) {
  int listening = Listening("127.0.0.1", kPort, 5);
  int asking = Connected("127.0.0.1", SOCK_STREAM, 0, kPort);
  int answering = REQUIRE_SYSCALL(accept(listening, NULL, NULL));
  waiting = Connected("127.0.0.1", SOCK_STREAM, 0, kPort);
  SendWaiting(REQUIRE_SYSCALL(accept(listening, NULL, NULL)));
  if (REQUIRE_SYSCALL(fork()) == 0) Answer(answering, -1, NULL);
  below = asking;
}

static void CheckLinked(void) {
  struct stat now;
  EXPECT_EQ(0, fstat(linked, &now));
  EXPECT_EQ(1, now.st_nlink); /* a link for a restore would be one more */
  EXPECT_EQ(-1, access("first", F_OK));
}

void HoldTreeOf(const char* what) {
  if (strcmp(what, "shared") == 0) HoldShared();
  if (strcmp(what, "peeking") == 0) HoldPeeking();
  if (strcmp(what, "linked") == 0) HoldLinked();
  if (strcmp(what, "linked") == 0 || strcmp(what, "connected") == 0) HoldConnected();
}

void CheckTree(void) {
  if (below < 0) return;
  Ask(below, ++rounds);
  CheckWaiting();
  if (shared != NULL) {
    ExpectFilled("shared memory", shared->pattern, kSize, 20);
    EXPECT_EQ(rounds, shared->counts[0]);
    EXPECT_EQ(rounds, shared->counts[1]);
    CheckDeleted();
    CheckLocked();
  }
  if (linked >= 0) CheckLinked();
}
