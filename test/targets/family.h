/* What targets of several processes share.
 *
 * A child prepares its part, calls AwaitCheck(), and proves its part when that returns; it ends
 * well by returning from its body. Its parent tells it to go on, and expects it to end well, by
 * CheckChild().
 */
#ifndef TEST_TARGETS_FAMILY_H_
#define TEST_TARGETS_FAMILY_H_

#include <sys/types.h>

typedef struct Child Child;
struct Child {
  pid_t pid;
  int go[2];    /* a pipe: one byte lets the child go on */
  int ready[2]; /* a pipe: one byte says that the child stands */
  void (*body)(Child* self, void* argument);
  void* argument;
};

/* Starts a child by clone(2) with `flags` (CLONE_*) besides SIGCHLD, and returns when it stands. A
 * child that shares memory gets a stack of its own. */
Child* StartChild(int flags, void (*body)(Child* self, void* argument), void* argument);

/* In the child: it stands. Returns when it shall check itself. */
void AwaitCheck(Child* self);

/* In whoever is its parent. */
void CheckChild(Child* child);

#endif /* TEST_TARGETS_FAMILY_H_ */
