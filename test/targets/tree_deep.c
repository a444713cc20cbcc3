/* A chain of 60 processes, each the only child of the one before. */
#include "test/targets/family.h"
#include "test/targets/target.h"

enum { kDepth = 60 };

static void Link(Child* self, void* unused) {
  static int depth; /* each process has its own */
  ++depth;
  const pid_t parent = getppid();
  Child* next = depth < kDepth ? StartChild(0, Link, unused) : NULL;
  AwaitCheck(self);
  EXPECT_EQ(parent, getppid());
  if (next) CheckChild(next);
}

int main(void) {
  Child* first = StartChild(0, Link, NULL);
  Checkpoint();
  CheckChild(first);
  Pass();
}
