/* What targets with terminals share. */
#ifndef TEST_TARGETS_TERMINAL_H_
#define TEST_TARGETS_TERMINAL_H_

#include <poll.h>

#include "test/targets/target.h"

static inline bool IsReadable(int fd) {
  struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
  return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLIN) != 0;
}

/* Also where a hang-up is told of at once, until the other end is opened again. */
static inline bool BecomesReadable(int fd, int64_t deadline_ms) {
  while (!IsReadable(fd)) {
    if (NowMs() > deadline_ms) return false;
    SleepMs(1);
  }
  return true;
}

/* Reads until `enough` bytes have come, or for some seconds; how many have. The kernel may hand on
 * in pieces what was written at once, and its echo. There may be more than enough, up to `size`. */
static inline size_t Hear(int fd, char* bytes, size_t enough, size_t size) {
  const int64_t deadline_ms = NowMs() + 5000;
  size_t got = 0;
  while (got < enough && BecomesReadable(fd, deadline_ms)) {
    const ssize_t n = read(fd, bytes + got, size - got);
    if (n < 0 && errno == EAGAIN) continue;
    if (n <= 0) break;
    got += (size_t)n;
  }
  return got;
}

static inline void ExpectHeard(const char* what, int fd, const char* text) {
  char bytes[256] = "";
  Hear(fd, bytes, strlen(text), sizeof(bytes) - 1);
  if (strcmp(text, bytes) != 0) Fail("%s: expected \"%s\", heard \"%s\"", what, text, bytes);
}

#endif /* TEST_TARGETS_TERMINAL_H_ */
