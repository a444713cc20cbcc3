/* Descriptors that wait in queues: between the bytes of a stream, with packets, those of a socket
 * in whose own queue others wait, both ends of a pipe with what stands in it, and a socket in the
 * queue of its peer. */
#include <sys/eventfd.h>

#include "test/targets/unix_socket.h"

int main(void) {
  int stream[2], datagrams[2], packets[2], outer[2], inner[2], own[2], ends[2];
  Pair(SOCK_STREAM, stream);
  Pair(SOCK_DGRAM, datagrams);
  Pair(SOCK_SEQPACKET, packets);
  Pair(SOCK_STREAM, outer);
  Pair(SOCK_STREAM, inner);
  Pair(SOCK_STREAM, own);
  int file = REQUIRE_SYSCALL(open("file", O_RDWR | O_CREAT, 0600));
  REQUIRE(write(file, "contents", 8) == 8);
  int kept = REQUIRE_SYSCALL(open("kept", O_RDWR | O_CREAT, 0600));
  int both[] = {file, kept};
  Send(stream[0], "0123456789");
  SendFiles(stream[0], "ABC", both, 2);
  Send(stream[0], "xyz");
  REQUIRE(pipe(ends) == 0 && write(ends[1], "in the pipe", 11) == 11);
  SendFiles(stream[0], "P", ends, 2);
  close(ends[0]);
  close(ends[1]);
  int counter = REQUIRE_SYSCALL(eventfd(5, 0));
  SendFiles(datagrams[0], "counter", &counter, 1);
  close(counter);
  Send(datagrams[0], "plain");
  SendFiles(datagrams[0], "", &file, 1);
  int listening = Listening(SOCK_STREAM, "listening", 5);
  SendFiles(packets[0], "listening", &listening, 1);
  close(listening);
  SendFiles(inner[0], "in", &file, 1);
  SendFiles(outer[0], "out", &inner[1], 1);
  close(inner[1]);
  SendFiles(own[0], "me", &own[0], 1);
  close(file);
  Checkpoint();
  int got[2];
  ReceiveFiles(stream[1], "0123456789", NULL, 0);
  ReceiveFiles(stream[1], "ABC", got, 2);
  EXPECT_EQ(8, lseek(got[0], 0, SEEK_CUR));
  EXPECT_EQ(3, write(got[1], "abc", 3));
  EXPECT_EQ(3, lseek(kept, 0, SEEK_CUR)); /* one open file */
  ReceiveFiles(stream[1], "xyz", NULL, 0);
  ReceiveFiles(stream[1], "P", ends, 2);
  char text[16] = "";
  EXPECT_EQ(11, read(ends[0], text, 15));
  EXPECT_STREQ("in the pipe", text);
  EXPECT_EQ(2, write(ends[1], "on", 2));
  EXPECT_EQ(2, read(ends[0], text, 15));
  ReceiveFiles(datagrams[1], "counter", &counter, 1);
  uint64_t count = 0;
  EXPECT_EQ(8, read(counter, &count, 8));
  EXPECT_EQ(5, count);
  ReceiveFiles(datagrams[1], "plain", NULL, 0);
  ReceiveFiles(datagrams[1], "", &file, 1);
  EXPECT_EQ(8, lseek(file, 0, SEEK_CUR));
  EXPECT_EQ(4, lseek(file, 4, SEEK_SET));
  EXPECT_EQ(4, lseek(got[0], 0, SEEK_CUR));
  ReceiveFiles(packets[1], "listening", &listening, 1);
  int client = NewSocket(SOCK_STREAM);
  EXPECT_EQ(0, ConnectTo(client, "listening"));
  EXPECT(accept(listening, NULL, NULL) >= 0);
  ReceiveFiles(outer[1], "out", &inner[1], 1);
  ReceiveFiles(inner[1], "in", got, 1);
  EXPECT_EQ(4, lseek(got[0], 0, SEEK_CUR));
  Send(inner[1], "reached");
  EXPECT_RECEIVED("reached", inner[0]);
  ReceiveFiles(own[1], "me", got, 1);
  Send(got[0], "once more");
  EXPECT_RECEIVED("once more", own[1]);
  Pass();
}
