/* The vdso: where the program knows it to be, and still telling the time. */
#include <sched.h>
#include <sys/auxv.h>

#include "test/targets/target.h"

int main(void) {
  char* vdso = (char*)getauxval(AT_SYSINFO_EHDR);
  if (!vdso) Skip("no vdso");
  struct timespec before, vdso_time, kernel_time;
  clock_gettime(CLOCK_MONOTONIC, &before);
  Checkpoint();
  EXPECT(memcmp(vdso, "\177ELF", 4) == 0);
  EXPECT(strstr(SmapsField(vdso, "maps"), "[vdso]") != NULL);
  for (int i = 0; i < 1000; ++i) {
    EXPECT(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &kernel_time) == 0);
    EXPECT(clock_gettime(CLOCK_MONOTONIC, &vdso_time) == 0);
    int64_t apart = (vdso_time.tv_sec - kernel_time.tv_sec) * 1000000000LL + vdso_time.tv_nsec -
                    kernel_time.tv_nsec;
    EXPECT(apart >= 0 && apart < 5000000000LL);
  }
  EXPECT(vdso_time.tv_sec >= before.tv_sec);
  unsigned cpu, node;
  EXPECT(getcpu(&cpu, &node) == 0);
  Pass();
}
