/* Listening sockets of both kinds, with names in the file system and abstract ones: connections
 * that wait to be accepted, and one that is accepted. */
#include "test/targets/unix_socket.h"

static void AcceptAndTalk(int listening, int client) {
  int accepted = accept(listening, NULL, NULL);
  EXPECT(accepted >= 0);
  Send(client, "hello");
  EXPECT_RECEIVED("hello", accepted);
  Send(accepted, "you");
  EXPECT_RECEIVED("you", client);
  close(accepted);
}

static void ExpectListening(int fd) {
  int listening = 0;
  socklen_t size = sizeof(listening);
  EXPECT_EQ(0, getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size));
  EXPECT_EQ(1, listening);
}

int main(void) {
  const char* abstract = UniqueName();
  int named = Listening(SOCK_STREAM, "named", 1);
  int hidden = Listening(SOCK_STREAM | SOCK_NONBLOCK, abstract, 5);
  int packets = Listening(SOCK_SEQPACKET, "packets", 5);
  int accepted_by = Connected(SOCK_STREAM, abstract);
  int accepted = REQUIRE_SYSCALL(accept(hidden, NULL, NULL));
  Send(accepted_by, "waits");
  int first = Connected(SOCK_STREAM, "named"), second = Connected(SOCK_STREAM, "named");
  int third = Connected(SOCK_SEQPACKET, "packets");
  int unused = Bound(SOCK_STREAM, "unused");
  int fresh = NewSocket(SOCK_STREAM);
  Checkpoint();
  ExpectListening(named);
  ExpectListening(hidden);
  ExpectListening(packets);
  EXPECT_STREQ("named", NameOf(named));
  EXPECT_STREQ(abstract, NameOf(hidden));
  EXPECT_STREQ("packets", NameOf(packets));
  /* As many may wait as did before: one, and one more. */
  int late = NewSocket(SOCK_STREAM | SOCK_NONBLOCK);
  EXPECT_EQ(EAGAIN, ConnectTo(late, "named"));
  AcceptAndTalk(named, first);
  AcceptAndTalk(named, second);
  AcceptAndTalk(packets, third);
  EXPECT_EQ(0, ConnectTo(late, "named"));
  AcceptAndTalk(named, late);
  EXPECT_EQ(-1, accept(hidden, NULL, NULL));
  EXPECT_EQ(EAGAIN, errno);
  EXPECT_RECEIVED("waits", accepted);
  Send(accepted, "so");
  EXPECT_RECEIVED("so", accepted_by);
  EXPECT_EQ(0, ConnectTo(fresh, abstract));
  AcceptAndTalk(hidden, fresh);
  EXPECT_STREQ("unused", NameOf(unused));
  EXPECT_EQ(0, listen(unused, 1));
  int last = NewSocket(SOCK_STREAM);
  EXPECT_EQ(0, ConnectTo(last, "unused"));
  AcceptAndTalk(unused, last);
  Pass();
}
