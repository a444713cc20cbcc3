/* 60 children of one process. */
#include <sys/stat.h>

#include "test/targets/family.h"
#include "test/targets/target.h"

enum { kChildren = 60 };

static void Stand(Child* self, void* number) {
  int mine = *(int*)number;
  AwaitCheck(self);
  EXPECT_EQ(mine, *(int*)number);
  EXPECT_EQ(mine + 100, umask(0)); /* which is nobody else's */
}

static void StartStanding(Child* self, void* number) {
  umask(*(int*)number + 100);
  Stand(self, number);
}

int main(void) {
  static int numbers[kChildren];
  Child* children[kChildren];
  for (int i = 0; i < kChildren; ++i) {
    numbers[i] = i;
    children[i] = StartChild(0, StartStanding, &numbers[i]);
    close(children[i]->ready[0]);
    close(children[i]->ready[1]);
    close(children[i]->go[0]);
  }
  Checkpoint();
  for (int i = 0; i < kChildren; ++i) CheckChild(children[i]);
  Pass();
}
