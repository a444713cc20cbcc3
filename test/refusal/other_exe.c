/* Becomes a process whose program is, by /proc/PID/exe, the file that is named: what a dump sees of
 * a 32-bit program, on kernels that run none.
 *
 *   other_exe FILE
 *
 * The kernel changes that link only when nothing of the old program is mapped any more, so the last
 * steps run from a page of their own: then it prints "ready" and sleeps. */
#include <sys/prctl.h>

#include "test/targets/target.h"

/* munmap(rdi, rsi); prctl(PR_SET_MM, PR_SET_MM_MAP, r12, r13, 0); exit(1) if that failed;
 * write(1, "ready\n", 6); pause() for ever. */
__asm__(
    "last_steps:\n"
    "  mov $11, %eax\n  syscall\n"
    "  mov $35, %edi\n  mov $14, %esi\n  mov %r12, %rdx\n  mov %r13, %r10\n  xor %r8d, %r8d\n"
    "  mov $157, %eax\n  syscall\n"
    "  mov $1, %edi\n"
    "  test %rax, %rax\n  jz 1f\n"
    "  mov $231, %eax\n  syscall\n"
    "1: lea 3f(%rip), %rsi\n  mov $6, %edx\n  mov $1, %eax\n  syscall\n"
    "2: mov $34, %eax\n  syscall\n  jmp 2b\n"
    "3: .ascii \"ready\\n\"\n"
    "last_steps_end:\n");
extern const char last_steps[], last_steps_end[];

/* Fields of /proc/self/stat after the name, by their number in proc(5). */
static uint64_t StatField(int number) {
  const char* at = strrchr(ReadText("/proc/self/stat"), ')') + 2;
  for (int field = 3; field < number; ++field) at = strchr(at, ' ') + 1;
  return strtoull(at, NULL, 10);
}

int main(int argc, char** argv) {
  REQUIRE(argc == 2);
  void* code =
      mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(code != MAP_FAILED);
  memcpy(code, last_steps, last_steps_end - last_steps);
  struct prctl_mm_map* map = Map(4096);
  map->start_code = StatField(26);
  map->end_code = StatField(27);
  map->start_stack = StatField(28);
  map->start_data = StatField(45);
  map->end_data = StatField(46);
  map->start_brk = StatField(47);
  map->brk = (uintptr_t)sbrk(0);
  map->arg_start = StatField(48);
  map->arg_end = StatField(49);
  map->env_start = StatField(50);
  map->env_end = StatField(51);
  map->exe_fd = REQUIRE_SYSCALL(open(argv[1], O_RDONLY | O_CLOEXEC));
  /* All that is mapped of this program, from its first to its last mapping. */
  char exe[4096] = {0};
  REQUIRE_SYSCALL(readlink("/proc/self/exe", exe, sizeof(exe) - 1));
  FILE* maps = fopen("/proc/self/maps", "r");
  REQUIRE(maps);
  unsigned long first = 0, last = 0, start, end;
  char line[8192];
  while (fgets(line, sizeof(line), maps)) {
    if (!strstr(line, exe) || sscanf(line, "%lx-%lx", &start, &end) != 2) continue;
    if (first == 0) first = start;
    last = end;
  }
  fclose(maps);
  register struct prctl_mm_map* r12 __asm__("r12") = map;
  register size_t r13 __asm__("r13") = sizeof(*map);
  __asm__ volatile("jmp *%0"
                   :
                   : "r"(code), "D"(first), "S"(last - first), "r"(r12), "r"(r13)
                   : "memory");
  __builtin_unreachable();
}
