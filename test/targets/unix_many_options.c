/* So many unix sockets that a dump compares them: each option of socket(7) that images have a place
 * for is set on some, to one value on two of them and, where it has more, to another on two more.
 */
#include <linux/filter.h>
#include <sys/time.h>

#include "test/targets/unix_socket.h"

enum { kBufLock = 72 /* SO_BUF_LOCK */, kMost = 64, kTwins = 2, kUntouched = 60 };

typedef struct {
  int option;
  socklen_t size;
  char value[16];
} Setting;

static Setting settings[kMost];
static int count;
static int sockets[kMost][kTwins][2];

static void AddBytes(int option, const void* value, socklen_t size) {
  REQUIRE(count < kMost && size <= sizeof(settings[0].value));
  settings[count].option = option;
  settings[count].size = size;
  memcpy(settings[count++].value, value, size);
}

static void AddNumbers(int option, int value, int other) {
  AddBytes(option, &value, sizeof(value));
  if (other != value) AddBytes(option, &other, sizeof(other));
}

static void AddTimes(int option) {
  const struct timeval times[] = {{2, 0}, {3, 0}, {3, 500000}};
  for (int i = 0; i < 3; ++i) AddBytes(option, &times[i], sizeof(times[i]));
}

/* Of one instruction, which lets so much through. */
static void AddFilter(unsigned int passed) {
  static struct sock_filter instructions[2];
  static int filters;
  struct sock_filter* instruction = &instructions[filters++];
  *instruction = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, passed);
  const struct sock_fprog program = {1, instruction};
  AddBytes(SO_ATTACH_FILTER, &program, sizeof(program));
}

static void AddAll(void) {
  static const int kSwitches[] = {SO_REUSEADDR, SO_REUSEPORT, SO_PASSCRED,
                                  SO_PASSSEC,   SO_DONTROUTE, SO_NO_CHECK,
                                  SO_BROADCAST, SO_KEEPALIVE, SO_OOBINLINE};
  for (size_t i = 0; i < sizeof(kSwitches) / sizeof(kSwitches[0]); ++i) {
    AddNumbers(kSwitches[i], 1, 1);
  }
  AddNumbers(SO_SNDBUF, 50000, 60000);
  AddNumbers(SO_RCVBUF, 5000, 6000);
  AddNumbers(SO_RCVLOWAT, 17, 18);
  AddNumbers(SO_PRIORITY, 3, 4);
  AddNumbers(SO_MARK, 0x1000, 0x10000);
  AddNumbers(kBufLock, 1, 2);
  const struct linger lingers[] = {{1, 0}, {1, 9}, {1, 10}};
  for (int i = 0; i < 3; ++i) AddBytes(SO_LINGER, &lingers[i], sizeof(lingers[i]));
  AddTimes(SO_SNDTIMEO);
  AddTimes(SO_RCVTIMEO);
  AddFilter(1000);
  AddFilter(2000);
  AddBytes(SO_BINDTODEVICE, "lo", 3);
}

/* Some kernels do not let unix sockets have SO_REUSEPORT, and not everybody may set SO_MARK. */
static void Set(int fd, const Setting* setting) {
  REQUIRE(setsockopt(fd, SOL_SOCKET, setting->option, setting->value, setting->size) == 0 ||
          errno == EOPNOTSUPP || errno == EPERM);
}

/* What the kernel makes of it: it doubles sizes, and rounds times. */
static void Get(int fd, int option, Setting* got) {
  memset(got, 0, sizeof(*got));
  got->option = option;
  got->size = option == SO_ATTACH_FILTER ? 1 : sizeof(got->value);
  EXPECT_EQ(0, getsockopt(fd, SOL_SOCKET, option, got->value, &got->size));
}

static void ExpectTold(const Setting* expected, int fd) {
  Setting got;
  Get(fd, expected->option, &got);
  if (memcmp(expected, &got, sizeof(got)) != 0) Fail("option %d is another", expected->option);
}

int main(void) {
  Setting before[kMost], told[kMost];
  AddAll();
  for (int i = 0; i < count; ++i) {
    for (int twin = 0; twin < kTwins; ++twin) {
      Pair(i % 2 == 0 ? SOCK_STREAM : SOCK_DGRAM, sockets[i][twin]);
    }
    Get(sockets[i][0][0], settings[i].option, &before[i]);
    for (int twin = 0; twin < kTwins; ++twin) Set(sockets[i][twin][0], &settings[i]);
    Get(sockets[i][0][0], settings[i].option, &told[i]);
  }
  for (int i = 0; i < kUntouched; ++i) {
    int pair[2];
    Pair(i % 2 == 0 ? SOCK_STREAM : SOCK_DGRAM, pair);
  }
  const Event event = Checkpoint();
  for (int i = 0; i < count; ++i) {
    /* Unix sockets make no use of it, and no restore puts it back. */
    if (settings[i].option == SO_REUSEADDR && event == kRestored) continue;
    for (int twin = 0; twin < kTwins; ++twin) {
      ExpectTold(&told[i], sockets[i][twin][0]);
      ExpectTold(&before[i], sockets[i][twin][1]);
    }
  }
  Pass();
}
