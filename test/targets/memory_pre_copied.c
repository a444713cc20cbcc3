/* One process, with more memory than is written while it stands, that goes on writing: here and
 * there to much of it, by system calls that the disk answers past the page tables (O_DIRECT), and
 * to memory that is given back, moved and mapped anew. What is written of it while it runs must be
 * what it has when it stands, or has to be written again. */
#include <stdatomic.h>

#include "test/targets/churn.h"

enum { kLargePages = 12288, kAMillisecond = 4, kChunk = 65536, kChunks = 16 };

static atomic_bool stop;

/* Pages that hold, at both ends, how often they were written to. */
static char* large;
static uint64_t counts[kLargePages];

static volatile uint64_t* End(int page, int word) {
  return (volatile uint64_t*)(large + (size_t)page * kPageSize) + word;
}

enum { kLast = kPageSize / sizeof(uint64_t) - 1 };

static void* WriteLarge(void* unused) {
  (void)unused;
  uint64_t random = 1;
  while (!atomic_load(&stop)) {
    for (int i = 0; i < kAMillisecond; ++i) {
      random = random * 6364136223846793005 + 1442695040888963407;
      int page = (int)((random >> 33) % kLargePages);
      /* Noted first: a stop in between is no matter, for it goes on from there. */
      ++counts[page];
      *End(page, 0) = counts[page];
      *End(page, kLast) = counts[page];
    }
    SleepMs(1);
  }
  return NULL;
}

static void CheckLarge(void) {
  for (int page = 0; page < kLargePages; ++page) {
    if (*End(page, 0) == counts[page] && *End(page, kLast) == counts[page]) continue;
    Fail("page %d holds %llu and %llu instead of %llu", page, (unsigned long long)*End(page, 0),
         (unsigned long long)*End(page, kLast), (unsigned long long)counts[page]);
  }
}

/* The end of it is mapped anew now and then, as another kind of mapping. */
enum { kTail = 16 };

static void MapTail(void) {
  char* tail = large + (size_t)kLargePages * kPageSize;
  EXPECT(mmap(tail, kTail * kPageSize, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == tail);
  memset(tail, 1, kTail * kPageSize);
}

/* Memory that the disk writes to: what each part of it holds is which part of the file. */
static int file = -1;
static char* read_into;
static int held[kChunks];

static void PrepareFile(void) {
  char* text = Map(kChunk * kChunks);
  for (int i = 0; i < kChunks; ++i) Fill(text + i * kChunk, kChunk, 1000 + i);
  int plain = open("direct", O_RDWR | O_CREAT | O_TRUNC, 0600);
  REQUIRE(plain >= 0 && write(plain, text, kChunk * kChunks) == kChunk * kChunks);
  REQUIRE(fsync(plain) == 0 && close(plain) == 0);
  munmap(text, kChunk * kChunks);
  file = open("direct", O_RDONLY | O_DIRECT);
  if (file < 0) file = open("direct", O_RDONLY);
  REQUIRE(file >= 0);
}

static void* ReadOn(void* unused) {
  (void)unused;
  for (int i = 0; !atomic_load(&stop); ++i) {
    int into = i % kChunks;
    int from = (i * 5 + i / kChunks) % kChunks;
    EXPECT_EQ(kChunk, pread(file, read_into + into * kChunk, kChunk, (off_t)from * kChunk));
    held[into] = from;
    if (into == 0) SleepMs(1);
  }
  return NULL;
}

static void CheckRead(void) {
  for (int i = 0; i < kChunks; ++i) {
    ExpectFilled("memory that was read into", read_into + i * kChunk, kChunk, 1000 + held[i]);
  }
}

int main(void) {
  large = Map((size_t)(kLargePages + kTail) * kPageSize);
  REQUIRE(madvise(large, (size_t)(kLargePages + kTail) * kPageSize, MADV_NOHUGEPAGE) == 0);
  memset(large + (size_t)kLargePages * kPageSize, 1, kTail * kPageSize);
  for (int page = 0; page < kLargePages; ++page) *End(page, 0) = 0;
  PrepareAreas();
  PrepareFile();
  read_into = Map(kChunk * kChunks);
  for (int i = 0; i < kChunks; ++i) {
    EXPECT_EQ(kChunk, pread(file, read_into + i * kChunk, kChunk, 0));
  }
  pthread_t writer = StartThread(WriteLarge, NULL);
  pthread_t reader = StartThread(ReadOn, NULL);
  for (int i = 0; i < 2 * kPages; ++i) Step();
  Ready();
  for (int i = 1; access("go", R_OK) != 0; ++i) {
    Step();
    if (i % 100 == 0) MapTail();
    SleepMs(1);
  }
  atomic_store(&stop, true);
  Join(writer);
  Join(reader);
  CheckAreas();
  CheckLarge();
  CheckRead();
  Pass();
}
