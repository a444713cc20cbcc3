/* What targets with unix sockets share. */
#ifndef TEST_TARGETS_UNIX_SOCKET_H_
#define TEST_TARGETS_UNIX_SOCKET_H_

#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "test/targets/target.h"

/* "@name" is abstract. */
static inline socklen_t AddressOf(const char* name, struct sockaddr_un* address) {
  memset(address, 0, sizeof(*address));
  address->sun_family = AF_UNIX;
  strcpy(address->sun_path, name);
  if (name[0] != '@') return offsetof(struct sockaddr_un, sun_path) + strlen(name) + 1;
  address->sun_path[0] = '\0';
  return offsetof(struct sockaddr_un, sun_path) + strlen(name);
}

/* An abstract name that nobody else has, in whichever network namespace a target is run. */
static inline const char* UniqueName(void) {
  static char names[4][32];
  static int next;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  char* name = names[next++ % 4];
  snprintf(name, sizeof(names[0]), "@%lx-%lx-%p", (long)now.tv_sec, now.tv_nsec, Map(4096));
  return name;
}

static inline int NewSocket(int type) { return REQUIRE_SYSCALL(socket(AF_UNIX, type, 0)); }

static inline int Bound(int type, const char* name) {
  struct sockaddr_un address;
  const socklen_t size = AddressOf(name, &address);
  int fd = NewSocket(type);
  REQUIRE_SYSCALL(bind(fd, (struct sockaddr*)&address, size));
  return fd;
}

static inline int Listening(int type, const char* name, int backlog) {
  int fd = Bound(type, name);
  REQUIRE_SYSCALL(listen(fd, backlog));
  return fd;
}

/* 0, or the error. */
static inline int ConnectTo(int fd, const char* name) {
  struct sockaddr_un address;
  const socklen_t size = AddressOf(name, &address);
  return connect(fd, (struct sockaddr*)&address, size) == 0 ? 0 : errno;
}

static inline int Connected(int type, const char* name) {
  int fd = NewSocket(type);
  REQUIRE((errno = ConnectTo(fd, name)) == 0);
  return fd;
}

static inline void Pair(int type, int fds[2]) {
  REQUIRE_SYSCALL(socketpair(AF_UNIX, type, 0, fds));
}

/* The name it is bound to, as AddressOf takes it. Lives until the next call. */
static inline const char* NameOf(int fd) {
  static struct sockaddr_un address;
  socklen_t size = sizeof(address);
  memset(&address, 0, sizeof(address));
  EXPECT_EQ(0, getsockname(fd, (struct sockaddr*)&address, &size));
  if (size > offsetof(struct sockaddr_un, sun_path) && address.sun_path[0] == '\0') {
    address.sun_path[0] = '@';
  }
  return address.sun_path;
}

static inline void Send(int fd, const char* text) {
  REQUIRE(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

/* What there is to receive, at once, is `text`. */
static inline void ExpectReceived(const char* file, int line, int fd, const char* text) {
  char got[256] = "";
  ssize_t size = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
  if (size < 0) Fail("%s:%d: nothing to receive for \"%s\", errno %d", file, line, text, errno);
  got[size] = '\0';
  ExpectText(file, line, "received", text, got);
}
#define EXPECT_RECEIVED(text, fd) ExpectReceived(__FILE__, __LINE__, fd, text)
#define EXPECT_NOTHING(fd)                              \
  do {                                                  \
    char nothing;                                       \
    EXPECT_EQ(-1, recv(fd, &nothing, 1, MSG_DONTWAIT)); \
    EXPECT_EQ(EAGAIN, errno);                           \
  } while (0)

static inline void SendFiles(int fd, const char* text, const int* files, int count) {
  char control[256] = "";
  struct iovec bytes = {(char*)text, strlen(text)};
  struct msghdr message = {.msg_iov = &bytes,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = CMSG_SPACE(count * sizeof(int))};
  struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(count * sizeof(int));
  memcpy(CMSG_DATA(header), files, count * sizeof(int));
  REQUIRE(sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

/* Receives `text` with `count` descriptors. */
static inline void ReceiveFiles(int fd, const char* text, int* files, int count) {
  char got[64] = "", control[256];
  struct iovec bytes = {got, strlen(text) + (text[0] == '\0')};
  struct msghdr message = {.msg_iov = &bytes,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof(control)};
  EXPECT_EQ(strlen(text), recvmsg(fd, &message, MSG_DONTWAIT));
  EXPECT_STREQ(text, got);
  struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (count == 0) {
    EXPECT(header == NULL);
    return;
  }
  EXPECT(header != NULL);
  EXPECT_EQ(SCM_RIGHTS, header->cmsg_type);
  EXPECT_EQ(CMSG_LEN(count * sizeof(int)), header->cmsg_len);
  memcpy(files, CMSG_DATA(header), count * sizeof(int));
}

#endif /* TEST_TARGETS_UNIX_SOCKET_H_ */
