/* Memory that a child inherited, and that one of the family has since said to be left out of
 * further children (MADV_DONTFORK), or to be empty in them (MADV_WIPEONFORK). All share its pages
 * still, and each has written enough of its own to be worth a copy. */
#include "test/targets/family.h"
#include "test/targets/target.h"

enum { kShared = 256 << 10, kOwn = (4 << 20) + (64 << 10) };

static char *dont_fork, *wipe_on_fork, *own;

static void WriteOwn(int seed) { Fill(own, kOwn, seed); }

static void Expect(int seed) {
  ExpectFilled("what was left out of children", dont_fork, kShared, 1);
  ExpectFilled("what was to be empty in children", wipe_on_fork, kShared, 2);
  ExpectFilled("its own", own, kOwn, seed);
}

static void Adviser(Child* self, void* unused) {
  (void)unused;
  REQUIRE_SYSCALL(madvise(dont_fork, kShared, MADV_DONTFORK));
  WriteOwn(11);
  AwaitCheck(self);
  EXPECT(HasVmFlag(dont_fork, "dc") && !HasVmFlag(wipe_on_fork, "wf"));
  Expect(11);
}

static void Other(Child* self, void* unused) {
  (void)unused;
  WriteOwn(12);
  AwaitCheck(self);
  EXPECT(!HasVmFlag(dont_fork, "dc") && !HasVmFlag(wipe_on_fork, "wf"));
  Expect(12);
}

int main(void) {
  dont_fork = Map(kShared);
  wipe_on_fork = Map(kShared);
  own = Map(kOwn);
  Fill(dont_fork, kShared, 1);
  Fill(wipe_on_fork, kShared, 2);
  Child* adviser = StartChild(0, Adviser, NULL);
  Child* other = StartChild(0, Other, NULL);
  REQUIRE_SYSCALL(madvise(wipe_on_fork, kShared, MADV_WIPEONFORK));
  WriteOwn(10);

  Checkpoint();

  CheckChild(adviser);
  CheckChild(other);
  EXPECT(HasVmFlag(wipe_on_fork, "wf") && !HasVmFlag(dont_fork, "dc"));
  Expect(10);
  Pass();
}
