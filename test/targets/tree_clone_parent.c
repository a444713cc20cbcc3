/* A child's child that is its sibling (CLONE_PARENT). */
#include <sched.h>
#include <sys/wait.h>

#include "test/targets/family.h"
#include "test/targets/target.h"

static int told[2];

static void Sibling(Child* self, void* root) {
  REQUIRE(getppid() == *(pid_t*)root);
  AwaitCheck(self);
  EXPECT_EQ(*(pid_t*)root, getppid());
}

static void Parent(Child* self, void* root) {
  Child* sibling = StartChild(CLONE_PARENT, Sibling, root);
  REQUIRE(write(told[1], &sibling->pid, sizeof(sibling->pid)) == sizeof(sibling->pid));
  AwaitCheck(self);
  EXPECT_EQ(1, write(sibling->go[1], "g", 1));
  EXPECT(waitpid(sibling->pid, NULL, 0) == -1 && errno == ECHILD);
}

int main(void) {
  pid_t root = getpid();
  REQUIRE_SYSCALL(pipe(told));
  Child* child = StartChild(0, Parent, &root);
  pid_t sibling;
  REQUIRE(read(told[0], &sibling, sizeof(sibling)) == sizeof(sibling));

  Checkpoint();

  CheckChild(child);
  int status = -1;
  EXPECT_EQ(sibling, waitpid(sibling, &status, 0));
  EXPECT_EQ(0, status);
  Pass();
}
