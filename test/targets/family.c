#include "test/targets/family.h"

#include <sched.h>
#include <sys/wait.h>

#include "test/targets/target.h"

enum { kStack = 256 << 10 };

static int RunChild(void* child) {
  Child* self = child;
  self->body(self, self->argument);
  _exit(0);
}

Child* StartChild(int flags, void (*body)(Child* self, void* argument), void* argument) {
  Child* child = Map(sizeof(*child));
  child->body = body;
  child->argument = argument;
  REQUIRE_SYSCALL(pipe(child->go));
  REQUIRE_SYSCALL(pipe(child->ready));
  if (flags & CLONE_VM) {
    char* stack = Map(kStack);
    child->pid = REQUIRE_SYSCALL(clone(RunChild, stack + kStack, flags | SIGCHLD, child));
  } else {
    child->pid = REQUIRE_SYSCALL(syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL));
    if (child->pid == 0) RunChild(child);
  }
  char byte;
  REQUIRE(read(child->ready[0], &byte, 1) == 1);
  return child;
}

void AwaitCheck(Child* self) {
  char byte = 'r';
  REQUIRE(write(self->ready[1], &byte, 1) == 1);
  EXPECT_EQ(1, read(self->go[0], &byte, 1));
}

void CheckChild(Child* child) {
  EXPECT_EQ(1, write(child->go[1], "g", 1));
  int status = -1;
  EXPECT_EQ(child->pid, waitpid(child->pid, &status, 0));
  EXPECT_EQ(0, status);
}
