/* The five capability sets, all different. */
#include <linux/capability.h>
#include <sys/prctl.h>

#include "test/targets/target.h"

static const char* const kSets[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};

int main(void) {
  REQUIRE(prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT) == 0);
  REQUIRE(prctl(PR_CAPBSET_DROP, CAP_AUDIT_READ) == 0);
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2];
  REQUIRE(syscall(SYS_capget, &header, data) == 0);
  data[0].inheritable = 1u << CAP_KILL | 1u << CAP_CHOWN | 1u << CAP_NET_RAW;
  data[0].permitted &= ~(1u << CAP_SYS_MODULE);
  data[0].effective = data[0].permitted & ~(1u << CAP_MKNOD | 1u << CAP_NET_ADMIN);
  data[1].effective = 0;
  REQUIRE(syscall(SYS_capset, &header, data) == 0);
  REQUIRE(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0) == 0);
  char before[5][32];
  for (int i = 0; i < 5; ++i) strcpy(before[i], StatusField(kSets[i]));
  Checkpoint();
  for (int i = 0; i < 5; ++i) EXPECT_STREQ(before[i], StatusField(kSets[i]));
  Pass();
}
