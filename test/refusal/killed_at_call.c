/* Kills a program with SIGKILL where it, or what it has started, is about to make one of some
 * system calls for the so manieth time, and holds up whoever makes one of them afterwards:
 *
 *   killed_at_call CALLS NUMBER DELAY_MS PROGRAM ARGUMENTS
 *
 * CALLS: numbers of system calls, with a comma between them, each with values that arguments of it
 * have to have (INDEX=VALUE, the first is 0) behind a slash: 54/1=6/2=19,247. It ends when all have
 * ended that the program started, as the program did; or, where it was killed, with 0, and says how
 * many of the calls there were afterwards. If it was not killed it says how many there were. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "test/targets/target.h"

static struct sock_filter steps[256];
static size_t used;

static void Add(struct sock_filter step) {
  REQUIRE(used < sizeof(steps) / sizeof(steps[0]));
  steps[used++] = step;
}

static void AddLoad(size_t offset) {
  Add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offset));
}

/* Whoever is not equal is led past what there is of this call: see AddCall. */
static void AddComparison(unsigned value) {
  Add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 0));
}

static void AddCall(char* call) {
  const size_t first = used;
  char* rest;
  AddLoad(offsetof(struct seccomp_data, nr));
  AddComparison((unsigned)strtoul(call, &rest, 10));
  while (*rest == '/') {
    const unsigned long index = strtoul(rest + 1, &rest, 10);
    REQUIRE(*rest == '=' && index < 6);
    AddLoad(offsetof(struct seccomp_data, args) + 8 * index);
    AddComparison((unsigned)strtoul(rest + 1, &rest, 10));
  }
  REQUIRE(*rest == '\0');
  Add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF));
  for (size_t i = first; i < used; ++i) {
    if (BPF_CLASS(steps[i].code) == BPF_JMP) steps[i].jf = (unsigned char)(used - i - 1);
  }
}

/* Stops at these calls until it is answered. Gives what answers. */
static int ListenTo(char* calls) {
  for (char* call = strtok(calls, ","); call != NULL; call = strtok(NULL, ",")) AddCall(call);
  Add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const struct sock_fprog program = {(unsigned short)used, steps};
  REQUIRE_SYSCALL(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  return (int)REQUIRE_SYSCALL(
      syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
}

/* The program, which runs once its listener, whose number it says, was taken. */
static pid_t Start(char* calls, char** argv, int* listener) {
  int numbers[2], taken[2];
  REQUIRE_SYSCALL(pipe2(numbers, O_CLOEXEC));
  REQUIRE_SYSCALL(pipe2(taken, O_CLOEXEC));
  const pid_t pid = REQUIRE_SYSCALL(fork());
  if (pid == 0) {
    const int number = ListenTo(calls);
    char byte;
    REQUIRE(write(numbers[1], &number, sizeof(number)) == sizeof(number));
    REQUIRE(read(taken[0], &byte, 1) == 1);
    close(number);
    execv(argv[0], argv);
    _exit(127);
  }
  int number;
  REQUIRE(read(numbers[0], &number, sizeof(number)) == sizeof(number));
  const int pidfd = REQUIRE_SYSCALL(syscall(SYS_pidfd_open, pid, 0));
  *listener = REQUIRE_SYSCALL(syscall(SYS_pidfd_getfd, pidfd, number, 0));
  REQUIRE(write(taken[1], "", 1) == 1);
  return pid;
}

/* Waits for what has ended, also for what the program has left behind. False when that was all. */
static bool Reap(pid_t program, int* status) {
  int ended;
  pid_t pid;
  while ((pid = waitpid(-1, &ended, WNOHANG)) > 0) {
    if (pid == program) *status = ended;
  }
  return pid == 0;
}

int main(int argc, char** argv) {
  REQUIRE(argc > 4);
  const int nth = atoi(argv[2]), delay = atoi(argv[3]);
  int listener, status = 0, seen = 0;
  REQUIRE_SYSCALL(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
  const pid_t program = Start(argv[1], argv + 4, &listener);
  while (Reap(program, &status)) {
    struct pollfd asked = {.fd = listener, .events = POLLIN};
    if (poll(&asked, 1, 5) <= 0) continue;
    if ((asked.revents & POLLIN) == 0) {
      SleepMs(5); /* nobody is left who could ask */
      continue;
    }
    struct seccomp_notif call;
    memset(&call, 0, sizeof(call));
    /* Who is killed asks no more. */
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) continue;
    if (++seen == nth) {
      REQUIRE_SYSCALL(kill(program, SIGKILL));
      /* Others that it has started make calls, too. */
      if (call.pid == (unsigned)program) continue;
    }
    if (nth > 0 && seen > nth) SleepMs(delay);
    struct seccomp_notif_resp answer = {.id = call.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
  }
  if (nth == 0 || seen < nth) {
    printf("not killed, of %d calls\n", seen);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
  }
  REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  printf("killed, and %d calls since\n", seen - nth);
  return 0;
}
