/* Netlink sockets (netlink(7)): bound with and without groups, connected, and made and no more. */
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>

#include "test/targets/target.h"

static int NewSocket(int type, int protocol) {
  return REQUIRE_SYSCALL(socket(AF_NETLINK, type, protocol));
}

static int Bound(int protocol, uint32_t port, uint32_t groups) {
  int fd = NewSocket(SOCK_RAW, protocol);
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_pid = port, .nl_groups = groups};
  REQUIRE_SYSCALL(bind(fd, (struct sockaddr*)&address, sizeof(address)));
  return fd;
}

static void ExpectName(int fd, uint32_t port, uint32_t groups) {
  struct sockaddr_nl address = {0};
  socklen_t size = sizeof(address);
  EXPECT_EQ(0, getsockname(fd, (struct sockaddr*)&address, &size));
  EXPECT_EQ(port, address.nl_pid);
  EXPECT_EQ(groups, address.nl_groups);
}

/* The kernel answers: there is a first link. */
static void ExpectAnswer(int fd) {
  struct {
    struct nlmsghdr head;
    struct ifinfomsg link;
  } request = {{sizeof(request), RTM_GETLINK, NLM_F_REQUEST, 1, 0}, {.ifi_index = 1}};
  EXPECT_EQ(sizeof(request), send(fd, &request, sizeof(request), 0));
  char answer[4096];
  struct pollfd waiting = {.fd = fd, .events = POLLIN};
  EXPECT_EQ(1, poll(&waiting, 1, 1000));
  EXPECT(recv(fd, answer, sizeof(answer), 0) > (ssize_t)sizeof(request));
  EXPECT_EQ(RTM_NEWLINK, ((struct nlmsghdr*)answer)->nlmsg_type);
}

int main(void) {
  int asking = Bound(NETLINK_ROUTE, 0, 0);
  int listening = Bound(NETLINK_ROUTE, 4711, RTMGRP_LINK | RTMGRP_NOTIFY);
  int device_events = Bound(NETLINK_KOBJECT_UEVENT, 4712, 1);
  int fresh = NewSocket(SOCK_DGRAM, NETLINK_ROUTE);
  struct sockaddr_nl own = {0};
  socklen_t size = sizeof(own);
  REQUIRE_SYSCALL(getsockname(asking, (struct sockaddr*)&own, &size));
  ExpectAnswer(asking);
  Checkpoint();
  ExpectName(asking, own.nl_pid, 0);
  ExpectName(listening, 4711, RTMGRP_LINK | RTMGRP_NOTIFY);
  ExpectName(device_events, 4712, 1);
  ExpectName(fresh, 0, 0);
  ExpectAnswer(asking);
  ExpectAnswer(listening);
  ExpectAnswer(fresh);
  Pass();
}
