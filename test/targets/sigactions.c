/* Every signal's action: handler, flags, mask; ignored and default ones too. */
#include "test/targets/target.h"

/* As the kernel has it; libc's differs. */
typedef struct {
  uint64_t handler, flags, restorer, mask;
} KernelAction;

static void Handle(int number) { (void)number; }

static void HandleInfo(int number, siginfo_t* info, void* context) {
  (void)number, (void)info, (void)context;
}

static void ReadAll(KernelAction* actions) {
  for (int number = 1; number <= 64; ++number) {
    REQUIRE(syscall(SYS_rt_sigaction, number, NULL, &actions[number], 8) == 0);
  }
}

int main(void) {
  static const int kFlags[] = {SA_RESTART,
                               SA_NODEFER,
                               SA_RESETHAND,
                               SA_NOCLDSTOP,
                               SA_NOCLDWAIT,
                               SA_ONSTACK,
                               SA_RESTART | SA_NODEFER,
                               0};
  for (int number = 1; number <= 64; ++number) {
    struct sigaction action = {.sa_flags = kFlags[number % 8]};
    for (int i = 1; i <= 64; ++i) {
      if (i * number % 7 == 3) sigaddset(&action.sa_mask, i);
    }
    if (number % 3 == 0) {
      action.sa_handler = number % 2 ? SIG_IGN : SIG_DFL;
    } else if (number % 3 == 1) {
      action.sa_handler = Handle;
    } else {
      action.sa_sigaction = HandleInfo;
      action.sa_flags |= SA_SIGINFO;
    }
    /* SIGKILL, SIGSTOP and libc's own two refuse. */
    sigaction(number, &action, NULL);
  }
  KernelAction before[65], after[65];
  ReadAll(before);
  Checkpoint();
  ReadAll(after);
  for (int number = 1; number <= 64; ++number) {
    EXPECT_EQ(before[number].handler, after[number].handler);
    EXPECT_EQ(before[number].flags, after[number].flags);
    EXPECT_EQ(before[number].restorer, after[number].restorer);
    EXPECT_EQ(before[number].mask, after[number].mask);
  }
  Pass();
}
