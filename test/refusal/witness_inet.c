#include "test/refusal/witness_inet.h"

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/wait.h>

#include "test/targets/inet_socket.h"

/* Runs `body` in a process that is no child of this one, has none of its files, and goes on for
 * ever. */
static void Outside(void (*body)(void)) {
  const pid_t child = REQUIRE_SYSCALL(fork());
  if (child == 0) {
    if (REQUIRE_SYSCALL(fork()) != 0) _exit(0);
    REQUIRE_SYSCALL(close_range(3, ~0U, 0));
    body();
    for (;;) pause();
  }
  REQUIRE(waitpid(child, NULL, 0) == child);
}

/* And says what it hears. */
static void Connect(void) {
  int fd = Connected("127.0.0.1", SOCK_STREAM, 0, 5001);
  for (char byte; recv(fd, &byte, 1, 0) == 1;) REQUIRE(send(fd, &byte, 1, MSG_NOSIGNAL) == 1);
}

static void Listen(void) { Listening("127.0.0.1", 5001, 0); }

static void HoldConnecting(void) {
  for (;;) {
    int fd = NewSocket("127.0.0.1", SOCK_STREAM | SOCK_NONBLOCK, 0);
    const int error = ConnectTo(fd, "127.0.0.1", 5001);
    struct pollfd connected = {.fd = fd, .events = POLLOUT};
    /* Who has no room for more says nothing. */
    if (error == EINPROGRESS && poll(&connected, 1, 200) == 0) return;
    close(fd);
  }
}

static void WaitFor(int fd, short events) {
  struct pollfd waiting = {.fd = fd, .events = events};
  REQUIRE(poll(&waiting, 1, 5000) == 1);
}

/* One end of a connection whose other end is held by somebody who is no child of this process. */
static int ConnectedFromOutside(void) {
  int listening = Listening("127.0.0.1", 5001, 5);
  Outside(Connect);
  int accepted = REQUIRE_SYSCALL(accept(listening, NULL, NULL));
  SetOption(accepted, SOL_SOCKET, SO_REUSEADDR, 1);
  return accepted;
}

static void HoldTcp(const char* what) {
  if (strcmp(what, "pending") == 0) {
    int listening = Listening("127.0.0.1", 5001, 5);
    Outside(Connect);
    WaitFor(listening, POLLIN);
  }
  if (strcmp(what, "connected") == 0) ConnectedFromOutside();
  if (strcmp(what, "tree") == 0) {
    int listening = Listening("127.0.0.1", 5001, 5);
    Outside(Connect);
    Outside(Connect);
    int accepted = REQUIRE_SYSCALL(accept(listening, NULL, NULL));
    int of_child = REQUIRE_SYSCALL(accept(listening, NULL, NULL));
    /* Held by the child as long as it has what it is not to have. */
    int all[2];
    REQUIRE_SYSCALL(pipe(all));
    char nothing;
    if (REQUIRE_SYSCALL(fork()) == 0) {
      close(accepted);
      close(all[0]);
      close(all[1]);
      recv(of_child, &nothing, 1, 0);
      _exit(1);
    }
    close(of_child);
    close(all[1]);
    REQUIRE(read(all[0], &nothing, 1) == 0);
    close(all[0]);
  }
  if (strcmp(what, "connecting") == 0) {
    Outside(Listen);
    HoldConnecting();
  }
  if (strcmp(what, "closed") == 0) {
    int listening = Listening("127.0.0.1", 5001, 5);
    int client = Connected("127.0.0.1", SOCK_STREAM, 0, 5001);
    int accepted = REQUIRE_SYSCALL(accept(listening, NULL, NULL));
    const struct linger reset = {1, 0};
    REQUIRE_SYSCALL(setsockopt(accepted, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
    close(accepted);
    char nothing;
    REQUIRE(recv(client, &nothing, 1, 0) == -1 && errno == ECONNRESET);
  }
  if (strcmp(what, "option") == 0) {
    SetOption(NewSocket("0.0.0.0", SOCK_STREAM, 0), IPPROTO_TCP, TCP_USER_TIMEOUT, 5000);
  }
  if (strcmp(what, "option6") == 0) {
    SetOption(NewSocket("::", SOCK_DGRAM, 0), IPPROTO_IPV6, IPV6_TCLASS, 4);
  }
  if (strcmp(what, "reuseport_program") == 0) {
    int fd = NewSocket("127.0.0.1", SOCK_STREAM, 0);
    SetOption(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    REQUIRE(BindTo(fd, "127.0.0.1", 5001) == 0);
    REQUIRE_SYSCALL(listen(fd, 5));
    struct sock_filter first = BPF_STMT(BPF_RET | BPF_K, 0);
    const struct sock_fprog program = {1, &first};
    REQUIRE_SYSCALL(
        setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)));
  }
  if (strcmp(what, "unowned_address") == 0) {
    int fd = NewSocket("0.0.0.0", SOCK_STREAM, 0);
    SetOption(fd, IPPROTO_IP, IP_FREEBIND, 1);
    REQUIRE(BindTo(fd, "192.0.2.1", 5001) == 0);
  }
  if (strcmp(what, "raw_connected") == 0) {
    REQUIRE(ConnectTo(NewSocket("127.0.0.1", SOCK_RAW, 253), "127.0.0.1", 0) == 0);
  }
  if (strcmp(what, "raw_packet") == 0) {
    int fd = NewSocket("127.0.0.1", SOCK_RAW, 253);
    SendTo(fd, "never read", "127.0.0.1", 0);
    WaitFor(fd, POLLIN);
  }
  if (strcmp(what, "namespace") == 0) {
    int home = REQUIRE_SYSCALL(open("/proc/self/ns/net", O_RDONLY));
    REQUIRE_SYSCALL(unshare(CLONE_NEWNET));
    Listening("0.0.0.0", 5001, 5);
    REQUIRE_SYSCALL(setns(home, CLONE_NEWNET));
    close(home);
  }
}

static void HoldUdp(const char* what) {
  int client = NewSocket("127.0.0.1", SOCK_DGRAM, 0);
  REQUIRE(ConnectTo(client, "127.0.0.1", 6001) == 0);
  if (strcmp(what, "error") == 0) {
    Send(client, "is anybody there?");
    WaitFor(client, POLLERR);
    return;
  }
  int server = Bound("127.0.0.1", SOCK_DGRAM, 0, 6001);
  if (strcmp(what, "datagram") == 0) Send(client, "never read");
  if (strcmp(what, "datagram") == 0) WaitFor(server, POLLIN);
  if (strcmp(what, "group") == 0) {
    const struct ip_mreqn group = {{inet_addr("239.1.2.3")}, {0}, 1};
    REQUIRE_SYSCALL(setsockopt(server, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)));
  }
  if (strcmp(what, "group6") == 0) {
    struct ipv6_mreq group = {.ipv6mr_interface = 1};
    REQUIRE(inet_pton(AF_INET6, "ff05::7", &group.ipv6mr_multiaddr) == 1);
    int fd = NewSocket("::", SOCK_DGRAM, 0);
    REQUIRE_SYSCALL(setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group, sizeof(group)));
  }
  if (strcmp(what, "corked") == 0) SetOption(client, IPPROTO_UDP, UDP_CORK, 1);
  if (strcmp(what, "begun") == 0) REQUIRE(send(client, "and", 3, MSG_MORE) == 3);
}

static void HoldNetlink(const char* what) {
  int fd = REQUIRE_SYSCALL(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
  if (strcmp(what, "netlink_option") == 0) SetOption(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
  if (strcmp(what, "netlink_group") == 0) {
    SetOption(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, RTNLGRP_NEXTHOP);
    SetOption(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, RTNLGRP_BRVLAN);
  }
  if (strcmp(what, "netlink_message") != 0) return;
  /* Asks for nothing, and is told that this was understood. */
  const struct nlmsghdr request = {sizeof(request), NLMSG_NOOP, NLM_F_REQUEST | NLM_F_ACK, 1, 0};
  REQUIRE(send(fd, &request, sizeof(request), 0) == sizeof(request));
  WaitFor(fd, POLLIN);
}

static void HoldPacket(const char* what) {
  if (strncmp(what, "packet_", 7) != 0) return;
  int fd = REQUIRE_SYSCALL(socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP)));
  if (strcmp(what, "packet_option") == 0) SetOption(fd, SOL_PACKET, PACKET_QDISC_BYPASS, 1);
  if (strcmp(what, "packet_option") == 0) return;
  SendTo(NewSocket("127.0.0.1", SOCK_DGRAM, 0), "seen", "127.0.0.1", 6999); /* nobody is there */
  WaitFor(fd, POLLIN);
}

void HoldInet(const char* what) {
  HoldTcp(what);
  HoldUdp(what);
  HoldNetlink(what);
  HoldPacket(what);
}
