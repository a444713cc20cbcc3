/* Names in the file system: absolute and relative ones, bound in other directories than that of the
 * dump, deleted and replaced since; with the file's mode and owner. */
#include "test/targets/unix_socket.h"

static void ExpectReached(int listening, const char* name) {
  int client = NewSocket(SOCK_STREAM);
  EXPECT_EQ(0, ConnectTo(client, name));
  int accepted = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
  EXPECT(accepted >= 0);
  close(accepted);
  close(client);
}

int main(void) {
  char absolute[108], here[80];
  REQUIRE(getcwd(here, sizeof(here)));
  snprintf(absolute, sizeof(absolute), "%s/absolute", here);
  int whole = Listening(SOCK_STREAM | SOCK_NONBLOCK, absolute, 5);
  REQUIRE_SYSCALL(chmod(absolute, 0620));
  REQUIRE_SYSCALL(chown(absolute, 123, 456));
  REQUIRE(mkdir("below", 0755) == 0 && mkdir("below/deep", 0755) == 0);
  int below = Listening(SOCK_STREAM, "below/deep/socket", 5);
  REQUIRE_SYSCALL(chdir("below"));
  int elsewhere = Listening(SOCK_STREAM, "deep/../elsewhere", 5);
  REQUIRE_SYSCALL(chdir("deep"));
  int above = Listening(SOCK_STREAM, "../../above", 5);
  int dotted = Listening(SOCK_STREAM, "./dotted", 5);
  int deleted = Listening(SOCK_STREAM, "deleted", 5);
  REQUIRE_SYSCALL(unlink("deleted"));
  int replaced = Listening(SOCK_STREAM, "again", 5);
  REQUIRE_SYSCALL(unlink("again"));
  int again = Listening(SOCK_STREAM, "again", 5);
  int datagrams = Bound(SOCK_DGRAM, "gone");
  int client = Connected(SOCK_DGRAM, "gone");
  REQUIRE_SYSCALL(unlink("gone"));
  Checkpoint();
  struct stat stat_of;
  EXPECT_EQ(0, stat(absolute, &stat_of));
  EXPECT_EQ(S_IFSOCK | 0620, stat_of.st_mode);
  EXPECT_EQ(123, stat_of.st_uid);
  EXPECT_EQ(456, stat_of.st_gid);
  EXPECT_STREQ(absolute, NameOf(whole));
  EXPECT_STREQ("below/deep/socket", NameOf(below));
  EXPECT_STREQ("deep/../elsewhere", NameOf(elsewhere));
  EXPECT_STREQ("../../above", NameOf(above));
  EXPECT_STREQ("./dotted", NameOf(dotted));
  EXPECT_STREQ("deleted", NameOf(deleted));
  EXPECT_STREQ("again", NameOf(replaced));
  EXPECT_EQ(-1, access("deleted", F_OK));
  EXPECT_EQ(-1, access("gone", F_OK));
  ExpectReached(whole, absolute);
  ExpectReached(below, "socket");
  ExpectReached(elsewhere, "../elsewhere");
  ExpectReached(above, "../../above");
  ExpectReached(dotted, "dotted");
  ExpectReached(again, "again");
  Send(client, "to the gone");
  EXPECT_RECEIVED("to the gone", datagrams);
  Pass();
}
