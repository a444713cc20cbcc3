/* A process stopped by SIGSTOP, which stays stopped till someone else lets it go on. */
#include "test/targets/target.h"

int main(void) {
  char* area = Map(8 * 4096);
  Fill(area, 8 * 4096, 24);
  Ready();
  /* The harness waits for the stop, finds it again after the dump, and sends SIGCONT. */
  REQUIRE(kill(getpid(), SIGSTOP) == 0);
  EXPECT(access("go", F_OK) == 0);
  ExpectFilled("memory", area, 8 * 4096, 24);
  Pass();
}
