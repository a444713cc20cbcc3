/* What targets with internet sockets share. Tests have a network of their own, with a loopback
 * device: ports are numbers that each target is free to take. */
#ifndef TEST_TARGETS_INET_SOCKET_H_
#define TEST_TARGETS_INET_SOCKET_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "test/targets/target.h"

typedef union {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} Address;

/* "127.0.0.1" or "::1". */
static inline socklen_t AddressOf(const char* text, int port, Address* address) {
  memset(address, 0, sizeof(*address));
  if (strchr(text, ':') == NULL) {
    address->v4.sin_family = AF_INET;
    address->v4.sin_port = htons(port);
    REQUIRE(inet_pton(AF_INET, text, &address->v4.sin_addr) == 1);
    return sizeof(address->v4);
  }
  address->v6.sin6_family = AF_INET6;
  address->v6.sin6_port = htons(port);
  REQUIRE(inet_pton(AF_INET6, text, &address->v6.sin6_addr) == 1);
  return sizeof(address->v6);
}

static inline int NewSocket(const char* text, int type, int protocol) {
  return REQUIRE_SYSCALL(socket(strchr(text, ':') ? AF_INET6 : AF_INET, type, protocol));
}

/* 0, or the error. */
static inline int BindTo(int fd, const char* text, int port) {
  Address address;
  const socklen_t size = AddressOf(text, port, &address);
  return bind(fd, &address.any, size) == 0 ? 0 : errno;
}

static inline int ConnectTo(int fd, const char* text, int port) {
  Address address;
  const socklen_t size = AddressOf(text, port, &address);
  return connect(fd, &address.any, size) == 0 ? 0 : errno;
}

static inline int Bound(const char* text, int type, int protocol, int port) {
  int fd = NewSocket(text, type, protocol);
  REQUIRE((errno = BindTo(fd, text, port)) == 0);
  return fd;
}

static inline int Connected(const char* text, int type, int protocol, int port) {
  int fd = NewSocket(text, type, protocol);
  REQUIRE((errno = ConnectTo(fd, text, port)) == 0);
  return fd;
}

static inline int Listening(const char* text, int port, int backlog) {
  int fd = Bound(text, SOCK_STREAM, 0, port);
  REQUIRE_SYSCALL(listen(fd, backlog));
  return fd;
}

static inline void SetOption(int fd, int level, int option, int value) {
  REQUIRE_SYSCALL(setsockopt(fd, level, option, &value, sizeof(value)));
}

static inline int GetOption(int fd, int level, int option) {
  int value = 0;
  socklen_t size = sizeof(value);
  EXPECT_EQ(0, getsockopt(fd, level, option, &value, &size));
  return value;
}

/* "127.0.0.1 80", of its own end or of the other one; "" without any. Lives until the next call. */
static inline const char* NameOf(int fd, bool peer) {
  static char name[64];
  char text[INET6_ADDRSTRLEN];
  Address address = {0};
  socklen_t size = sizeof(address);
  if ((peer ? getpeername : getsockname)(fd, &address.any, &size) != 0) return "";
  const bool is_v4 = address.any.sa_family == AF_INET;
  const void* raw = is_v4 ? (void*)&address.v4.sin_addr : (void*)&address.v6.sin6_addr;
  EXPECT(inet_ntop(address.any.sa_family, raw, text, sizeof(text)) != NULL);
  snprintf(name, sizeof(name), "%s %d", text,
           ntohs(is_v4 ? address.v4.sin_port : address.v6.sin6_port));
  return name;
}
#define EXPECT_NAME(expected, fd) EXPECT_STREQ(expected, NameOf(fd, false))
#define EXPECT_PEER(expected, fd) EXPECT_STREQ(expected, NameOf(fd, true))

static inline void Send(int fd, const char* text) {
  REQUIRE(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

static inline void SendTo(int fd, const char* text, const char* address_text, int port) {
  Address address;
  const socklen_t size = AddressOf(address_text, port, &address);
  REQUIRE(sendto(fd, text, strlen(text), 0, &address.any, size) == (ssize_t)strlen(text));
}

/* What comes within a second is `text`, all of it. */
static inline void ExpectReceived(const char* file, int line, int fd, const char* text) {
  char got[256] = "";
  size_t size = 0;
  while (size < strlen(text)) {
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    poll(&waiting, 1, 1000);
    ssize_t more = recv(fd, got + size, sizeof(got) - 1 - size, MSG_DONTWAIT);
    if (more <= 0) Fail("%s:%d: no more than \"%s\", errno %d", file, line, got, errno);
    size += more;
  }
  ExpectText(file, line, "received", text, got);
}
#define EXPECT_RECEIVED(text, fd) ExpectReceived(__FILE__, __LINE__, fd, text)
#define EXPECT_NOTHING(fd)                              \
  do {                                                  \
    char nothing;                                       \
    EXPECT_EQ(-1, recv(fd, &nothing, 1, MSG_DONTWAIT)); \
    EXPECT_EQ(EAGAIN, errno);                           \
  } while (0)

/* A new connection to `port` comes out of `listening`. */
static inline void AcceptAndTalk(int listening, const char* text, int port) {
  int client = NewSocket(text, SOCK_STREAM, 0);
  EXPECT_EQ(0, ConnectTo(client, text, port));
  int accepted = accept(listening, NULL, NULL);
  EXPECT(accepted >= 0);
  Send(client, "hello");
  EXPECT_RECEIVED("hello", accepted);
  Send(accepted, "you");
  EXPECT_RECEIVED("you", client);
  close(client);
  close(accepted);
}

#endif /* TEST_TARGETS_INET_SOCKET_H_ */
