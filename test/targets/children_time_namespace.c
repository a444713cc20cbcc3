/* A process whose children are to live in a time namespace that has nobody yet. Its clocks can be
 * set until somebody is there, so that it must be no process that a dumper starts for a while, not
 * even of one with so much memory. */
#include <sched.h>
#include <sys/wait.h>

#include "test/targets/target.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

enum { kSize = 80 << 20, kPageSize = 4096, kAhead = 1000 };

static void SetClock(void) {
  char text[64];
  const int size = snprintf(text, sizeof(text), "monotonic %d 0\n", kAhead);
  const int offsets = open("/proc/self/timens_offsets", O_WRONLY);
  EXPECT(offsets >= 0);
  EXPECT(write(offsets, text, size) == size);
  close(offsets);
}

int main(void) {
  char* memory = Map(kSize);
  for (int at = 0; at < kSize; at += kPageSize) memory[at] = 1;
  if (unshare(CLONE_NEWTIME) != 0) Skip("no time namespace can be made here");
  /* The images have no field for it: restored, its children live where it lives. */
  const bool theirs = Checkpoint() == kResumed;
  if (theirs) SetClock();
  const int64_t before = NowMs();
  pid_t child = -1;
  EXPECT((child = fork()) >= 0);
  if (child == 0) _exit(NowMs() - before >= kAhead * 1000 ? 1 : 0);
  int status = -1;
  EXPECT_EQ(child, waitpid(child, &status, 0));
  EXPECT(WIFEXITED(status));
  EXPECT_EQ(theirs, WEXITSTATUS(status));
  for (int at = 0; at < kSize; at += kPageSize) EXPECT_EQ(1, memory[at]);
  Pass();
}
