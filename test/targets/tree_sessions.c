/* Sessions and process groups: of the root, of their own, of a leader that lives, of one that has
 * died, and of one that is dead and not waited for; and a child of a session that its parent has
 * left since. */
#include <sys/prctl.h>
#include <sys/wait.h>

#include "test/targets/family.h"
#include "test/targets/target.h"

typedef struct {
  pid_t pid;
  pid_t ppid;
  pid_t pgid;
  pid_t sid;
} Place;

static Place Here(void) { return (Place){getpid(), getppid(), getpgid(0), getsid(0)}; }

static void ExpectHere(const Place* before) {
  const Place now = Here();
  EXPECT_EQ(before->pid, now.pid);
  EXPECT_EQ(before->ppid, now.ppid);
  EXPECT_EQ(before->pgid, now.pgid);
  EXPECT_EQ(before->sid, now.sid);
}

static void Stand(Child* self, void* unused) {
  (void)unused;
  const Place place = Here();
  AwaitCheck(self);
  ExpectHere(&place);
}

static void InGroup(Child* self, void* group) {
  REQUIRE_SYSCALL(setpgid(0, *(pid_t*)group));
  Stand(self, NULL);
}

/* A session of its own, with a child in it, and a child in a group of its own in it. */
static void InSession(Child* self, void* unused) {
  REQUIRE_SYSCALL(setsid());
  pid_t own = 0;
  Child* child = StartChild(0, Stand, NULL);
  Child* group = StartChild(0, InGroup, &own);
  Stand(self, unused);
  CheckChild(group);
  CheckChild(child);
}

static void LeaveSession(Child* self, void* unused) {
  Child* child = StartChild(0, Stand, NULL);
  REQUIRE_SYSCALL(setsid());
  Child* later = StartChild(0, Stand, NULL);
  Stand(self, unused);
  CheckChild(later);
  CheckChild(child);
}

/* A child in a group of its own, which ends, and leaves a child to the subreaper. */
static pid_t Abandon(pid_t* leader) {
  int told[2];
  REQUIRE_SYSCALL(pipe(told));
  *leader = REQUIRE_SYSCALL(fork());
  if (*leader == 0) {
    REQUIRE_SYSCALL(setpgid(0, 0));
    const pid_t child = REQUIRE_SYSCALL(fork());
    if (child == 0) {
      for (;;) pause();
    }
    REQUIRE(write(told[1], &child, sizeof(child)) == sizeof(child));
    _exit(0);
  }
  pid_t child;
  REQUIRE(read(told[0], &child, sizeof(child)) == sizeof(child));
  siginfo_t info;
  REQUIRE_SYSCALL(waitid(P_PID, *leader, &info, WEXITED | WNOWAIT));
  return child;
}

static void ExpectAbandoned(pid_t child, pid_t leader) {
  EXPECT_EQ(leader, getpgid(child));
  EXPECT_EQ(getsid(0), getsid(child));
  EXPECT_EQ(0, kill(child, SIGKILL));
  int status;
  EXPECT_EQ(child, waitpid(child, &status, 0)); /* it was adopted by us */
  EXPECT_EQ(SIGKILL, status);
}

int main(void) {
  REQUIRE_SYSCALL(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
  pid_t own = 0;
  Child* plain = StartChild(0, Stand, NULL);
  Child* leader = StartChild(0, InGroup, &own);
  Child* member = StartChild(0, InGroup, &leader->pid);
  Child* session = StartChild(0, InSession, NULL);
  Child* left = StartChild(0, LeaveSession, NULL);
  pid_t zombie;
  const pid_t of_zombie = Abandon(&zombie);
  pid_t dead;
  const pid_t of_dead = Abandon(&dead);
  REQUIRE_SYSCALL(waitpid(dead, NULL, 0));
  const Place place = Here();

  Checkpoint();

  ExpectHere(&place);
  ExpectAbandoned(of_zombie, zombie);
  ExpectAbandoned(of_dead, dead);
  EXPECT_EQ(zombie, waitpid(zombie, NULL, 0));
  CheckChild(member);
  CheckChild(leader);
  CheckChild(session);
  CheckChild(left);
  CheckChild(plain);
  Pass();
}
