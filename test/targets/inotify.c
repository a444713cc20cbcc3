/* Watches of files and directories: their numbers, what they tell, that nothing was told of the
 * dump, and the number of the next one. */
#include <limits.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "test/targets/target.h"

static void ExpectEvent(int fd, int watch, uint32_t mask, const char* name) {
  char room[sizeof(struct inotify_event) + NAME_MAX + 1]
      __attribute__((aligned(__alignof__(struct inotify_event))));
  EXPECT(read(fd, room, sizeof(struct inotify_event) + 16) > 0);
  const struct inotify_event* event = (const struct inotify_event*)room;
  EXPECT_EQ(watch, event->wd);
  EXPECT_EQ(mask, event->mask);
  EXPECT_STREQ(name, event->len > 0 ? event->name : "");
}

static void ExpectNone(int fd) {
  char room[512];
  EXPECT_EQ(-1, read(fd, room, sizeof(room)));
  EXPECT_EQ(EAGAIN, errno);
}

static int Make(const char* name) {
  return (int)REQUIRE_SYSCALL(open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

int main(void) {
  /* Who looks for the name of a file, or whether it is a program, must not be noticed. */
  const uint32_t kAll = IN_ALL_EVENTS;
  const int watches = REQUIRE_SYSCALL(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  const int blocking = REQUIRE_SYSCALL(inotify_init());
  const int idle = REQUIRE_SYSCALL(inotify_init1(IN_NONBLOCK));
  const int held = Make("held");
  char contents[4096];
  Fill(contents, sizeof(contents), 1);
  REQUIRE(write(held, contents, sizeof(contents)) == sizeof(contents));
  close(Make("other"));
  REQUIRE_SYSCALL(mkdir("directory", 0700));
  const int in_directory = Make("directory/old");
  REQUIRE(write(in_directory, contents, sizeof(contents)) == sizeof(contents));
  close(Make("moved"));
  REQUIRE(inotify_add_watch(watches, "held", kAll) == 1);
  REQUIRE(inotify_add_watch(watches, "other", IN_MODIFY) == 2);
  REQUIRE(inotify_add_watch(watches, "directory", kAll) == 3);
  /* Others of the host work there, so only what does not happen is watched. */
  REQUIRE(inotify_add_watch(watches, "/dev", IN_DELETE_SELF | IN_MOVE_SELF) == 4);
  REQUIRE_SYSCALL(inotify_rm_watch(watches, 2));
  ExpectEvent(watches, 2, IN_IGNORED, "");
  REQUIRE(inotify_add_watch(watches, "/dev/shm", IN_MOVE_SELF | IN_ISDIR) == 5);
  REQUIRE(inotify_add_watch(watches, "moved", IN_OPEN) == 6);
  REQUIRE(inotify_add_watch(blocking, "directory", IN_CREATE | IN_DELETE) == 1);
  REQUIRE_SYSCALL(rename("moved", "directory/moved"));
  ExpectEvent(watches, 3, IN_MOVED_TO, "moved");
  ExpectNone(watches);

  Event event = Checkpoint();

  /* A restore opens files after it has set the watches, and they tell. */
  if (event == kResumed) ExpectNone(watches);
  for (char room[512]; event == kRestored && read(watches, room, sizeof(room)) > 0;) {
  }
  ExpectNone(idle);
  EXPECT_EQ(FD_CLOEXEC, fcntl(watches, F_GETFD));
  EXPECT_EQ(0, fcntl(blocking, F_GETFL) & O_NONBLOCK);
  EXPECT_EQ(1, pwrite(held, "x", 1, 0));
  ExpectEvent(watches, 1, IN_MODIFY, "");
  close(Make("other"));
  ExpectNone(watches);
  close(Make("directory/new"));
  ExpectEvent(watches, 3, IN_CREATE, "new");
  ExpectEvent(watches, 3, IN_OPEN, "new");
  ExpectEvent(watches, 3, IN_CLOSE_WRITE, "new");
  EXPECT_EQ(0, unlink("directory/new"));
  ExpectEvent(watches, 3, IN_DELETE, "new");
  ExpectEvent(blocking, 1, IN_CREATE, "new");
  ExpectEvent(blocking, 1, IN_DELETE, "new");
  const int moved = Make("directory/moved");
  ExpectEvent(watches, 3, IN_OPEN, "moved");
  ExpectEvent(watches, 6, IN_OPEN, "");
  close(moved);
  ExpectEvent(watches, 3, IN_CLOSE_WRITE, "moved");
  EXPECT_EQ(7, inotify_add_watch(watches, "other", IN_MODIFY));
  EXPECT_EQ(0, inotify_rm_watch(watches, 4));
  ExpectEvent(watches, 4, IN_IGNORED, "");
  EXPECT_EQ(0, inotify_rm_watch(watches, 5));
  EXPECT_EQ(0, inotify_rm_watch(watches, 7));
  Pass();
}
