/* Two processes that write to memory, give it back, move and map it anew without a pause, and know
 * at every moment what each page of it has to hold; each has half of some memory that they share.
 *
 * In which round they are is in a file as well, which a dump does not go back to: so who is killed
 * by a dump, and comes back as it was at an earlier one, is found out. */
#include <sys/wait.h>

#include "test/targets/churn.h"

enum { kBoards = 8, kStillPages = 2048 };

/* Most of what there is, written once. By itself: where a new mapping becomes one with an old, the
 * kernel marks all pages of both as written to (VM_SOFTDIRTY). */
static char* most;

static void PrepareMost(void) {
  char* around =
      mmap(NULL, (kStillPages + 2) * kPageSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(around != MAP_FAILED);
  most = around + kPageSize;
  REQUIRE(mprotect(most, kStillPages * kPageSize, PROT_READ | PROT_WRITE) == 0);
  Fill(most, kStillPages * kPageSize, 43);
}

static Area shared = {.what = "memory that is shared"};
static volatile uint64_t* round_in_file;

static void Live(void) {
  for (int page = 0; page < kPages; ++page) Write(&shared, page);
  *round_in_file = round_number;
  while (access("go", R_OK) != 0) {
    for (int i = 0; i < kBoards; ++i) {
      if (*round_in_file != round_number) {
        Fail("it is in round %llu, and was in round %llu", (unsigned long long)round_number,
             (unsigned long long)*round_in_file);
      }
      Write(&shared, (int)(round_number * 5 % kPages));
      Step();
      *round_in_file = round_number;
    }
    SleepMs(1);
  }
  EXPECT_EQ(*round_in_file, round_number);
  CheckAreas();
  CheckArea(&shared);
  ExpectFilled("most of the memory", most, kStillPages * kPageSize, 43);
}

static void PrepareShared(void) {
  shared.memory =
      mmap(NULL, 2 * kPages * kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(shared.memory != MAP_FAILED);
  int file = open("rounds", O_RDWR | O_CREAT | O_TRUNC, 0600);
  REQUIRE(file >= 0 && ftruncate(file, kPageSize) == 0);
  void* memory = mmap(NULL, kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  REQUIRE(memory != MAP_FAILED);
  close(file);
  round_in_file = memory;
}

int main(void) {
  PrepareAreas();
  PrepareShared();
  PrepareMost();
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    shared.memory += kPages * kPageSize;
    ++round_in_file;
    round_number = 1000;
    Live();
    _exit(0);
  }
  for (int i = 0; i < 2 * kPages; ++i) Step();
  Ready();
  Live();
  int status = -1;
  EXPECT_EQ(child, waitpid(child, &status, 0));
  EXPECT_EQ(0, status);
  Pass();
}
