/* Kills a program with SIGKILL where it is about to set an option of a socket for the so manieth
 * time, and holds up whoever sets that option afterwards:
 *
 *   killed_at_option LEVEL OPTION NUMBER DELAY_MS PROGRAM ARGUMENTS
 *
 * It ends when all have ended that the program started, as the program did; or, where it was
 * killed, with 0, and says how often the option was set since. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "test/targets/target.h"

/* Stops at setsockopt(2) of this option until it is answered. Gives what answers. */
static int ListenTo(unsigned level, unsigned option) {
  enum { kNumber = offsetof(struct seccomp_data, nr) };
  enum { kArguments = offsetof(struct seccomp_data, args) };
  struct sock_filter steps[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kNumber),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setsockopt, 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kArguments + 8),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, level, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kArguments + 16),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, option, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  REQUIRE_SYSCALL(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  const struct sock_fprog program = {sizeof(steps) / sizeof(steps[0]), steps};
  return (int)REQUIRE_SYSCALL(
      syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
}

/* The program, which runs once its listener, whose number it says, was taken. */
static pid_t Start(char** argv, int* listener) {
  int numbers[2], taken[2];
  REQUIRE_SYSCALL(pipe2(numbers, O_CLOEXEC));
  REQUIRE_SYSCALL(pipe2(taken, O_CLOEXEC));
  const pid_t pid = REQUIRE_SYSCALL(fork());
  if (pid == 0) {
    const int number = ListenTo((unsigned)atoi(argv[1]), (unsigned)atoi(argv[2]));
    char byte;
    REQUIRE(write(numbers[1], &number, sizeof(number)) == sizeof(number));
    REQUIRE(read(taken[0], &byte, 1) == 1);
    close(number);
    execv(argv[5], argv + 5);
    _exit(127);
  }
  int number;
  REQUIRE(read(numbers[0], &number, sizeof(number)) == sizeof(number));
  const int pidfd = REQUIRE_SYSCALL(syscall(SYS_pidfd_open, pid, 0));
  *listener = REQUIRE_SYSCALL(syscall(SYS_pidfd_getfd, pidfd, number, 0));
  REQUIRE(write(taken[1], "", 1) == 1);
  return pid;
}

int main(int argc, char** argv) {
  REQUIRE(argc > 5);
  const int nth = atoi(argv[3]), delay = atoi(argv[4]);
  int listener;
  const pid_t program = Start(argv, &listener);
  int set = 0;
  /* Until the last has ended that the filter holds for. */
  for (struct pollfd asked = {.fd = listener, .events = POLLIN};;) {
    if (poll(&asked, 1, -1) < 0) continue;
    if ((asked.revents & POLLIN) == 0) break;
    struct seccomp_notif call;
    memset(&call, 0, sizeof(call));
    /* Who is killed asks no more. */
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) continue;
    if (++set == nth) {
      REQUIRE_SYSCALL(kill(program, SIGKILL));
      continue;
    }
    if (set > nth) SleepMs(delay);
    struct seccomp_notif_resp answer = {.id = call.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
  }
  int status;
  REQUIRE(waitpid(program, &status, 0) == program);
  if (set < nth) return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
  REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  printf("killed, and set %d times since\n", set - nth);
  return 0;
}
