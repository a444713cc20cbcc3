/* Marks of files, directories and a mount: what they tell and ignore, and that nothing was told of
 * the dump. */
#include <sys/fanotify.h>
#include <sys/stat.h>

#include "test/targets/target.h"

static void Mark(int fd, unsigned flags, uint64_t mask, const char* path) {
  REQUIRE_SYSCALL(fanotify_mark(fd, FAN_MARK_ADD | flags, mask, AT_FDCWD, path));
}

/* That one thing has happened, to the file that was called so. */
static void ExpectEvent(int fd, uint64_t mask, const char* end) {
  struct fanotify_event_metadata event;
  EXPECT_EQ(sizeof(event), read(fd, &event, sizeof(event)));
  EXPECT_EQ(mask, event.mask);
  char link[32], path[4096] = "";
  snprintf(link, sizeof(link), "/proc/self/fd/%d", event.fd);
  EXPECT(readlink(link, path, sizeof(path) - 1) >= (ssize_t)strlen(end));
  EXPECT_STREQ(end, path + strlen(path) - strlen(end));
  EXPECT_EQ(O_RDONLY, fcntl(event.fd, F_GETFL) & O_ACCMODE);
  close(event.fd);
}

static void ExpectNone(int fd) {
  struct fanotify_event_metadata event;
  EXPECT_EQ(-1, read(fd, &event, sizeof(event)));
  EXPECT_EQ(EAGAIN, errno);
}

static void Open(const char* name) {
  const int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  EXPECT(fd >= 0);
  close(fd);
}

int main(void) {
  const unsigned kFlags = FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK;
  const int files = fanotify_init(kFlags, O_RDONLY | O_LARGEFILE);
  if (files < 0 && (errno == ENOSYS || errno == EPERM)) Skip("no fanotify");
  REQUIRE_SYSCALL(files);
  const int names =
      REQUIRE_SYSCALL(fanotify_init(kFlags | FAN_REPORT_FID | FAN_UNLIMITED_QUEUE, 0));
  const int held = REQUIRE_SYSCALL(open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  char contents[4096];
  Fill(contents, sizeof(contents), 1);
  REQUIRE(write(held, contents, sizeof(contents)) == sizeof(contents));
  Open("other");
  REQUIRE_SYSCALL(mkdir("directory", 0700));
  Mark(files, 0, FAN_OPEN | FAN_CLOSE, "file");
  Mark(files, FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY, FAN_CLOSE_WRITE, "file");
  Mark(files, 0, FAN_MODIFY | FAN_EVENT_ON_CHILD, "directory");
  Mark(files, FAN_MARK_MOUNT, FAN_OPEN, "/dev/shm");
  Mark(names, 0, FAN_CREATE | FAN_DELETE | FAN_ONDIR, "directory");

  Event event = Checkpoint();

  if (event == kResumed) ExpectNone(files);
  for (struct fanotify_event_metadata told;
       event == kRestored && read(files, &told, sizeof(told)) > 0;) {
    close(told.fd);
  }
  ExpectNone(names);
  Open("other");
  ExpectNone(files);
  Open("file");
  ExpectEvent(files, FAN_OPEN, "/file");
  ExpectNone(files);
  char shared[80]; /* by all tests, in other pid namespaces, too */
  snprintf(shared, sizeof(shared), "/dev/shm/dumpctl-fanotify-%d-%jd", getpid(), (intmax_t)NowMs());
  Open(shared);
  ExpectEvent(files, FAN_OPEN, shared);
  EXPECT_EQ(0, unlink(shared));
  Open("directory/new");
  ExpectNone(files);
  struct {
    struct fanotify_event_metadata head;
    char more[512];
  } told;
  EXPECT(read(names, &told, sizeof(told)) > (ssize_t)sizeof(told.head));
  EXPECT_EQ(FAN_CREATE, told.head.mask);
  EXPECT_EQ(FAN_NOFD, told.head.fd);
  const int written = open("directory/new", O_WRONLY);
  EXPECT_EQ(1, write(written, "x", 1));
  ExpectEvent(files, FAN_MODIFY, "/directory/new");
  ExpectNone(files);
  EXPECT_EQ(0,
            fanotify_mark(files, FAN_MARK_REMOVE | FAN_MARK_MOUNT, FAN_OPEN, AT_FDCWD, "/dev/shm"));
  Pass();
}
