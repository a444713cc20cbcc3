/* O_PATH descriptors, of whatever has a name or had one: they can be looked at and opened by, but
 * not be read. */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "test/targets/target.h"

static int Path(const char* name, int flags) { return REQUIRE_SYSCALL(open(name, O_PATH | flags)); }

static struct stat Expect(int fd, mode_t type, int links) {
  struct stat stat;
  char byte;
  EXPECT_EQ(0, fstat(fd, &stat));
  EXPECT_EQ(type, stat.st_mode & S_IFMT);
  EXPECT_EQ(links, stat.st_nlink);
  EXPECT_EQ(O_PATH, fcntl(fd, F_GETFL) & (O_PATH | O_ACCMODE));
  EXPECT_EQ(-1, read(fd, &byte, 1));
  return stat;
}

int main(void) {
  REQUIRE_SYSCALL(mkdir("dir", 0700));
  close(REQUIRE_SYSCALL(open("dir/inner", O_RDWR | O_CREAT, 0600)));
  int directory = Path("dir", O_DIRECTORY | O_CLOEXEC);
  int file = Path("dir/inner", 0);
  REQUIRE_SYSCALL(symlink("nowhere", "link"));
  int link = Path("link", O_NOFOLLOW);
  REQUIRE_SYSCALL(mkfifo("fifo", 0600));
  int fifo = Path("fifo", 0);
  REQUIRE_SYSCALL(mkfifo("gone_fifo", 0600));
  int gone_fifo = Path("gone_fifo", 0);
  REQUIRE_SYSCALL(unlink("gone_fifo"));
  struct sockaddr_un address = {AF_UNIX, "socket"};
  int socket_fd = REQUIRE_SYSCALL(socket(AF_UNIX, SOCK_STREAM, 0));
  REQUIRE_SYSCALL(bind(socket_fd, (struct sockaddr*)&address, sizeof(address)));
  close(socket_fd);
  int name = Path("socket", 0);
  int device = Path("/dev/null", 0);
  int terminal = Path("/dev/tty", 0);
  REQUIRE_SYSCALL(symlink("somewhere", "gone_link"));
  int gone_link = Path("gone_link", O_NOFOLLOW);
  REQUIRE_SYSCALL(unlink("gone_link"));
  int gone = REQUIRE_SYSCALL(open("gone", O_RDWR | O_CREAT, 0600));
  REQUIRE(write(gone, "contents", 8) == 8);
  close(gone);
  gone = Path("gone", 0);
  REQUIRE_SYSCALL(unlink("gone"));

  Checkpoint();

  struct stat stat;
  Expect(directory, S_IFDIR, 2);
  EXPECT_EQ(FD_CLOEXEC, fcntl(directory, F_GETFD));
  EXPECT_EQ(0, fstatat(directory, "inner", &stat, 0));
  EXPECT_EQ(stat.st_ino, Expect(file, S_IFREG, 1).st_ino);
  char target[16] = "";
  Expect(link, S_IFLNK, 1);
  EXPECT_EQ(7, readlinkat(link, "", target, sizeof(target)));
  EXPECT_STREQ("nowhere", target);
  EXPECT_EQ(O_NOFOLLOW, fcntl(link, F_GETFL) & O_NOFOLLOW);
  Expect(fifo, S_IFIFO, 1);
  Expect(gone_fifo, S_IFIFO, 0);
  Expect(name, S_IFSOCK, 1);
  EXPECT_EQ(makedev(1, 3), Expect(device, S_IFCHR, 1).st_rdev);
  EXPECT_EQ(makedev(5, 0), Expect(terminal, S_IFCHR, 1).st_rdev);
  Expect(gone_link, S_IFLNK, 0);
  memset(target, 0, sizeof(target));
  EXPECT_EQ(9, readlinkat(gone_link, "", target, sizeof(target)));
  EXPECT_STREQ("somewhere", target);
  EXPECT_EQ(8, Expect(gone, S_IFREG, 0).st_size);
  char path[32], contents[16] = "";
  snprintf(path, sizeof(path), "/proc/self/fd/%d", gone);
  int opened = open(path, O_RDONLY);
  EXPECT_EQ(8, read(opened, contents, sizeof(contents)));
  EXPECT_STREQ("contents", contents);
  Pass();
}
