/* What epolls watch: level and edge triggered, disabled after one shot, nested, and under a number
 * that was closed or moved since. */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include "test/targets/target.h"

static const uint64_t kOne = 1;

static void Add(int epoll, int fd, uint32_t events, uint64_t data) {
  struct epoll_event event = {.events = events, .data.u64 = data};
  REQUIRE_SYSCALL(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

static void ExpectOne(int epoll, uint32_t events, uint64_t data) {
  struct epoll_event got[8];
  EXPECT_EQ(1, epoll_wait(epoll, got, 8, 0));
  EXPECT_EQ(data, got[0].data.u64);
  EXPECT_EQ(events, got[0].events);
}

static void ExpectNone(int epoll) {
  struct epoll_event got[8];
  EXPECT_EQ(0, epoll_wait(epoll, got, 8, 0));
}

static void Raise(int fd) { EXPECT_EQ(8, write(fd, &kOne, 8)); }

int main(void) {
  int level = REQUIRE_SYSCALL(epoll_create1(EPOLL_CLOEXEC));
  int edge = REQUIRE_SYSCALL(epoll_create1(0));
  int shot = REQUIRE_SYSCALL(epoll_create1(0));
  int outer = REQUIRE_SYSCALL(epoll_create1(0));
  int moved = REQUIRE_SYSCALL(epoll_create1(0));
  int fds[2];
  REQUIRE(pipe(fds) == 0);
  int timer = REQUIRE_SYSCALL(timerfd_create(CLOCK_MONOTONIC, 0));
  int edge_counter = REQUIRE_SYSCALL(eventfd(0, 0)), shot_counter = REQUIRE_SYSCALL(eventfd(1, 0));
  int first = REQUIRE_SYSCALL(eventfd(0, 0));
  Add(level, fds[0], EPOLLIN, 0x123456789abcdef0);
  Add(level, timer, EPOLLIN | EPOLLPRI, 2);
  Add(edge, edge_counter, EPOLLIN | EPOLLET, 3);
  Add(shot, shot_counter, EPOLLIN | EPOLLONESHOT, 4);
  Add(outer, level, EPOLLIN, 5);
  Add(moved, first, EPOLLIN, 6);
  int kept = REQUIRE_SYSCALL(fcntl(first, F_DUPFD, 50));
  /* Another file takes the number, and is watched under it, too. */
  REQUIRE_SYSCALL(close(first));
  REQUIRE(eventfd(0, 0) == first);
  Add(moved, first, EPOLLIN, 7);
  Raise(edge_counter);
  ExpectOne(edge, EPOLLIN, 3);
  ExpectOne(shot, EPOLLIN, 4);
  ExpectNone(edge);
  Event event = Checkpoint();
  EXPECT_EQ(FD_CLOEXEC, fcntl(level, F_GETFD));
  ExpectNone(level);
  ExpectNone(outer);
  EXPECT_EQ(3, write(fds[1], "abc", 3));
  ExpectOne(level, EPOLLIN, 0x123456789abcdef0);
  ExpectOne(level, EPOLLIN, 0x123456789abcdef0);
  ExpectOne(outer, EPOLLIN, 5);
  /* What is ready when it is added is an edge: a restore makes one anew. */
  struct epoll_event got;
  int edges = epoll_wait(edge, &got, 1, 0);
  EXPECT(edges == 0 || (edges == 1 && event == kRestored));
  ExpectNone(edge);
  Raise(edge_counter);
  ExpectOne(edge, EPOLLIN, 3);
  ExpectNone(edge);
  ExpectNone(shot);
  struct epoll_event again = {.events = EPOLLIN | EPOLLONESHOT, .data.u64 = 44};
  EXPECT_EQ(0, epoll_ctl(shot, EPOLL_CTL_MOD, shot_counter, &again));
  ExpectOne(shot, EPOLLIN, 44);
  ExpectNone(moved);
  Raise(kept);
  ExpectOne(moved, EPOLLIN, 6);
  uint64_t count;
  EXPECT_EQ(8, read(kept, &count, 8));
  Raise(first);
  ExpectOne(moved, EPOLLIN, 7);
  Pass();
}
