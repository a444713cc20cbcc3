/* Small seccomp filters. */
#ifndef TEST_TARGETS_SECCOMP_COMMON_H_
#define TEST_TARGETS_SECCOMP_COMMON_H_

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include "test/targets/target.h"

/* From here on, system call `number` fails with `error` in this thread (in all with TSYNC). */
static inline void RefuseCall(int number, int error, int flags) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
  REQUIRE(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) == 0);
}

static inline void ExpectRefused(int number, int error) {
  EXPECT_EQ(-1, syscall(number, 0, 0, 0, 0));
  EXPECT_EQ(error, errno);
}

#endif /* TEST_TARGETS_SECCOMP_COMMON_H_ */
