/* What no dumper can do without where pages are many: writes so many bytes into a file, from memory
 * that is there, and more than any processor keeps at hand.
 *
 *   page_cache FILE BYTES
 *
 * Prints the seconds of wall and of CPU time that the writing alone took. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const size_t kHeld = (size_t)256 << 20, kPiece = (size_t)16 << 20;

static double Seconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void Fail(const char* what) {
  perror(what);
  exit(1);
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: page_cache FILE BYTES\n");
    return 2;
  }
  const size_t size = strtoull(argv[2], NULL, 10) / 4096 * 4096;
  const size_t held = size < kHeld ? size : kHeld;
  char* memory = mmap(NULL, held, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) Fail("mmap");
  if (madvise(memory, held, MADV_NOHUGEPAGE) < 0) Fail("madvise");
  for (size_t at = 0; at < held; at += 4096) memory[at] = 1;
  const int file = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (file < 0) Fail(argv[1]);
  const double wall = Seconds(CLOCK_MONOTONIC), cpu = Seconds(CLOCK_PROCESS_CPUTIME_ID);
  for (size_t at = 0; at < size;) {
    const size_t from = at % held, left = held - from < size - at ? held - from : size - at;
    const ssize_t n = write(file, memory + from, left < kPiece ? left : kPiece);
    if (n <= 0) Fail("write");
    at += (size_t)n;
  }
  printf("%f %f\n", Seconds(CLOCK_MONOTONIC) - wall, Seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
  return 0;
}
