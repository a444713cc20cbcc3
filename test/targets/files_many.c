/* Some thousands of descriptors, in two processes: more than a dumper with a small limit may have
 * open itself. All are told apart, and those that are of one open file are so still. */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "test/targets/family.h"
#include "test/targets/target.h"

enum { kFiles = 1000, kEvents = 500, kPairs = 300, kPipes = 150 };

static int files[kFiles], twins[kFiles / 10], events[kEvents], pairs[kPairs][2], pipes[kPipes][2];

/* Each file has an offset of its own, and each eventfd a count; something waits in each pair of
 * sockets, and in each third pipe. */
static void Open(int base) {
  for (int i = 0; i < kFiles; ++i) {
    files[i] = REQUIRE_SYSCALL(open("data", O_RDWR));
    REQUIRE_SYSCALL(lseek(files[i], base + i / 2, SEEK_SET)); /* two are alike */
  }
  for (int i = 0; i < kFiles / 10; ++i) twins[i] = REQUIRE_SYSCALL(dup(files[10 * i]));
  for (int i = 0; i < kEvents; ++i) {
    events[i] = REQUIRE_SYSCALL(eventfd(base + i + 1, EFD_NONBLOCK));
  }
  for (int i = 0; i < kPairs; ++i) {
    const int number = base + i;
    REQUIRE_SYSCALL(socketpair(AF_UNIX, i % 2 == 0 ? SOCK_STREAM : SOCK_DGRAM, 0, pairs[i]));
    REQUIRE(write(pairs[i][0], &number, sizeof(number)) == sizeof(number));
  }
  for (int i = 0; i < kPipes; ++i) {
    const int number = base + i;
    REQUIRE_SYSCALL(pipe(pipes[i]));
    if (i % 3 == 0) REQUIRE(write(pipes[i][1], &number, sizeof(number)) == sizeof(number));
  }
}

static void ExpectNumber(int expected, int fd) {
  int number = -1;
  EXPECT_EQ((int)sizeof(number), read(fd, &number, sizeof(number)));
  EXPECT_EQ(expected, number);
}

static void CheckStreams(int base) {
  for (int i = 0; i < kPairs; ++i) {
    const int number = i;
    ExpectNumber(base + i, pairs[i][1]);
    EXPECT_EQ((int)sizeof(number), write(pairs[i][1], &number, sizeof(number)));
    ExpectNumber(i, pairs[i][0]);
  }
  for (int i = 0; i < kPipes; ++i) {
    const int number = i;
    if (i % 3 == 0) ExpectNumber(base + i, pipes[i][0]);
    EXPECT_EQ((int)sizeof(number), write(pipes[i][1], &number, sizeof(number)));
    ExpectNumber(i, pipes[i][0]);
  }
}

static void Check(int base) {
  for (int i = 0; i < kFiles; ++i) EXPECT_EQ(base + i / 2, lseek(files[i], 0, SEEK_CUR));
  for (int i = 0; i < kFiles / 10; ++i) {
    REQUIRE_SYSCALL(lseek(twins[i], 1000000 + i, SEEK_SET));
  }
  for (int i = 0; i < kFiles; ++i) {
    const int expected = i % 10 == 0 ? 1000000 + i / 10 : base + i / 2;
    EXPECT_EQ(expected, lseek(files[i], 0, SEEK_CUR));
  }
  for (int i = 0; i < kEvents; ++i) {
    uint64_t count = 0;
    EXPECT_EQ(8, read(events[i], &count, sizeof(count)));
    EXPECT_EQ(base + i + 1, count);
  }
  CheckStreams(base);
}

static int shared, epoll;

static void Other(Child* self, void* unused) {
  (void)unused;
  close(epoll); /* it watches what is closed here */
  for (int i = 0; i < kFiles; ++i) close(files[i]);
  for (int i = 0; i < kFiles / 10; ++i) close(twins[i]);
  for (int i = 0; i < kEvents; ++i) close(events[i]);
  for (int i = 0; i < 2 * kPairs; ++i) close(pairs[i / 2][i % 2]);
  for (int i = 0; i < 2 * kPipes; ++i) close(pipes[i / 2][i % 2]);
  Open(5000);
  AwaitCheck(self);
  Check(5000);
  EXPECT_EQ(77, lseek(shared, 0, SEEK_CUR)); /* as the parent has moved it meanwhile */
}

int main(void) {
  struct rlimit limit;
  REQUIRE_SYSCALL(getrlimit(RLIMIT_NOFILE, &limit));
  if (limit.rlim_max < 4096) Skip("no more than a few files can be opened");
  limit.rlim_cur = limit.rlim_max;
  REQUIRE_SYSCALL(setrlimit(RLIMIT_NOFILE, &limit));
  shared = REQUIRE_SYSCALL(open("data", O_RDWR | O_CREAT, 0600));
  Open(0);
  epoll = REQUIRE_SYSCALL(epoll_create1(0));
  struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = 9}};
  REQUIRE_SYSCALL(epoll_ctl(epoll, EPOLL_CTL_ADD, events[7], &event));
  int deleted = REQUIRE_SYSCALL(open("deleted", O_RDWR | O_CREAT, 0600));
  REQUIRE(write(deleted, "contents", 8) == 8);
  REQUIRE_SYSCALL(unlink("deleted"));
  Child* other = StartChild(0, Other, NULL);

  Checkpoint();

  EXPECT_EQ(1, epoll_wait(epoll, &event, 1, 0));
  EXPECT_EQ(9, event.data.u64);
  Check(0);
  REQUIRE_SYSCALL(lseek(shared, 77, SEEK_SET));
  CheckChild(other);
  char text[16] = "";
  EXPECT_EQ(8, pread(deleted, text, sizeof(text), 0));
  EXPECT_STREQ("contents", text);
  Pass();
}
