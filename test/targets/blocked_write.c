/* write to a full pipe. (Half done, any stop would end it short: that is the kernel's way.) */
#include "test/targets/blocked.h"

static int pipe_fds[2];
enum { kPipe = 65536, kRest = 10000, kBytes = kPipe + kRest };
static char *sent, *received;

static void Call(void) { EXPECT_EQ(kRest, write(pipe_fds[1], sent + kPipe, kRest)); }

static void Release(void) {
  for (int got = 0; got < kBytes;) {
    ssize_t now = read(pipe_fds[0], received + got, kBytes - got);
    EXPECT(now > 0);
    got += now;
  }
  ExpectFilled("bytes", received, kBytes, 23);
}

int main(void) {
  REQUIRE(pipe(pipe_fds) == 0);
  sent = Map(kBytes);
  received = Map(kBytes);
  Fill(sent, kBytes, 23);
  REQUIRE(write(pipe_fds[1], sent, kPipe) == kPipe);
  static const Blocked kBlocked = {Call, SYS_write, Release};
  RunBlocked(&kBlocked);
}
