#include "test/targets/target.h"

#include <stdarg.h>

static char go_path[4096];

__attribute__((constructor)) static void RememberWorkDirectory(void) {
  REQUIRE(getcwd(go_path, sizeof(go_path) - sizeof("/go")));
  strcat(go_path, "/go");
}

void SetGoPath(const char* path) { snprintf(go_path, sizeof(go_path), "%s", path); }

static void Say(const char* prefix, const char* format, va_list arguments) {
  char line[4096];
  int used = snprintf(line, sizeof(line), "%s", prefix);
  used += vsnprintf(line + used, sizeof(line) - used - 1, format, arguments);
  if (used > (int)sizeof(line) - 2) used = sizeof(line) - 2;
  line[used] = '\n';
  /* Nothing is left to be done about a status file that cannot be written. */
  if (write(1, line, used + 1) < 0) _exit(3);
}

static void SayLine(const char* prefix, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Say(prefix, format, arguments);
  va_end(arguments);
}

void Pass(void) {
  SayLine("", "PASS");
  _exit(0);
}

void Skip(const char* reason) {
  SayLine("SKIP: ", "%s", reason);
  _exit(77);
}

void Fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Say("FAIL: ", format, arguments);
  _exit(1);
}

void Error(const char* file, int line, const char* what) {
  SayLine("ERROR: ", "%s:%d: %s, errno %d (%s)", file, line, what, errno, strerror(errno));
  _exit(2);
}

void ExpectEqual(const char* file, int line, const char* what, long long expected,
                 long long actual) {
  if (expected == actual) return;
  Fail("%s:%d: %s: expected %lld (%#llx), got %lld (%#llx)", file, line, what, expected, expected,
       actual, actual);
}

void ExpectText(const char* file, int line, const char* what, const char* expected,
                const char* actual) {
  if (strcmp(expected, actual) == 0) return;
  Fail("%s:%d: %s: expected \"%s\", got \"%s\"", file, line, what, expected, actual);
}

void Ready(void) { SayLine("", "ready"); }

Event WaitForGo(void) {
  while (access(go_path, R_OK) != 0) SleepMs(3);
  char event[16] = "";
  int fd = open(go_path, O_RDONLY | O_CLOEXEC);
  REQUIRE(fd >= 0 && read(fd, event, sizeof(event) - 1) > 0);
  close(fd);
  return strcmp(event, "restored") == 0 ? kRestored : kResumed;
}

Event Checkpoint(void) {
  Ready();
  return WaitForGo();
}

/* splitmix64: every 8 bytes follow from the seed and their place. */
static uint64_t Word(uint64_t seed, size_t index) {
  uint64_t word = (seed << 40) + (index + 1) * 0x9e3779b97f4a7c15u;
  word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9u;
  word = (word ^ (word >> 27)) * 0x94d049bb133111ebu;
  return word ^ (word >> 31);
}

void Fill(void* memory, size_t size, uint64_t seed) {
  for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
    uint64_t word = Word(seed, at / sizeof(word));
    size_t left = size - at;
    memcpy((char*)memory + at, &word, left < sizeof(word) ? left : sizeof(word));
  }
}

void ExpectFilled(const char* what, const void* memory, size_t size, uint64_t seed) {
  for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
    uint64_t word = Word(seed, at / sizeof(word));
    size_t left = size - at;
    if (memcmp((const char*)memory + at, &word, left < sizeof(word) ? left : sizeof(word)) != 0) {
      uint64_t got = 0;
      memcpy(&got, (const char*)memory + at, left < sizeof(got) ? left : sizeof(got));
      Fail("%s at byte %zu of %zu: expected %016llx, got %016llx", what, at, size,
           (unsigned long long)word, (unsigned long long)got);
    }
  }
}

void* Map(size_t size) {
  void* memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  return memory;
}

pid_t Tid(void) { return syscall(SYS_gettid); }

pthread_t StartThread(void* (*body)(void*), void* argument) {
  pthread_t thread;
  errno = pthread_create(&thread, NULL, body, argument);
  REQUIRE(errno == 0);
  return thread;
}

static int threads_ready;

void ThreadReady(void) { __atomic_add_fetch(&threads_ready, 1, __ATOMIC_SEQ_CST); }

void WaitThreadsReady(int count) {
  while (__atomic_load_n(&threads_ready, __ATOMIC_SEQ_CST) != count) SleepMs(1);
}

void Join(pthread_t thread) { EXPECT_EQ(0, pthread_join(thread, NULL)); }

void WaitUntilIn(pid_t tid, long number) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", tid);
  /* "running" parses as nothing, and "-1 ..." is a thread that sleeps outside any call. */
  for (;;) {
    long current = -1;
    if (sscanf(ReadText(path), "%ld", &current) == 1 && current == number) return;
    SleepMs(1);
  }
}

char StateOfTask(pid_t tid) {
  char path[48];
  snprintf(path, sizeof(path), "/proc/%d/stat", tid);
  const char* name_end = strrchr(ReadText(path), ')');
  REQUIRE(name_end != NULL);
  return name_end[2];
}

void SleepMs(int ms) {
  struct timespec time = {ms / 1000, ms % 1000 * 1000000L};
  nanosleep(&time, NULL);
}

int64_t NowMs(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* A mapping, not the heap: reading must not change what a target checks of its own memory. */
enum { kTextSize = 4 << 20 };

static char* TextBuffer(void) {
  static __thread char* buffers[2];
  static __thread int next;
  next = !next;
  if (!buffers[next]) buffers[next] = Map(kTextSize);
  return buffers[next];
}

const char* ReadText(const char* path) {
  char* text = TextBuffer();
  text[0] = '\0';
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  size_t size = 0;
  ssize_t got;
  while ((got = read(fd, text + size, kTextSize - 1 - size)) > 0) size += got;
  close(fd);
  text[size] = '\0';
  return text;
}

/* The rest of the line after "NAME:" and blanks, cut off in place. */
static const char* Field(char* text, const char* name) {
  size_t length = strlen(name);
  for (char* line = text; line; line = strchr(line, '\n')) {
    if (*line == '\n') ++line;
    if (strncmp(line, name, length) != 0 || line[length] != ':') continue;
    char* value = line + length + 1 + strspn(line + length + 1, " \t");
    value[strcspn(value, "\n")] = '\0';
    for (char* last = value + strlen(value); last > value && last[-1] == ' ';) *--last = '\0';
    return value;
  }
  return "";
}

const char* StatusField(const char* name) {
  return Field((char*)ReadText("/proc/thread-self/status"), name);
}

static bool IsEntry(const char* line, unsigned long* start, unsigned long* end) {
  /* Not sscanf, which measures all the text that follows. */
  char* rest;
  *start = strtoul(line, &rest, 16);
  if (rest == line || *rest != '-') return false;
  *end = strtoul(rest + 1, &rest, 16);
  return *rest == ' ';
}

const char* SmapsField(const void* address, const char* name) {
  char* entry = (char*)ReadText("/proc/self/smaps");
  unsigned long start, end;
  while (entry && !(IsEntry(entry, &start, &end) && start <= (unsigned long)address &&
                    (unsigned long)address < end)) {
    entry = strchr(entry, '\n');
    if (entry) ++entry;
  }
  if (!entry) return "";
  char* rest = strchr(entry, '\n');
  *rest++ = '\0';
  if (strcmp(name, "maps") == 0) return entry;
  for (char* line = rest; line && *line;
       line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
    if (IsEntry(line, &start, &end)) {
      *line = '\0';
      break;
    }
  }
  return Field(rest, name);
}

bool HasVmFlag(const void* address, const char* flag) {
  return strstr(SmapsField(address, "VmFlags"), flag) != NULL;
}
