/* The registers that a system call preserves, of a thread blocked in one over the dump. */
#include "test/targets/target.h"

enum { kRegisters = 9 };
static uint64_t registers[kRegisters];
static int pipe_fds[2];
static pid_t reader;
static char byte;

/* read(fd, buffer, 1) with rbx rbp r8 r9 r10 r12 r13 r14 r15 from `values`, stored back there. */
long ReadWithRegisters(uint64_t* values, int fd, char* buffer);
__asm__(
    "ReadWithRegisters:\n"
    "  push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "  push %rdi\n"
    "  mov 0(%rdi), %rbx;  mov 8(%rdi), %rbp;  mov 16(%rdi), %r8;  mov 24(%rdi), %r9\n"
    "  mov 32(%rdi), %r10; mov 40(%rdi), %r12; mov 48(%rdi), %r13; mov 56(%rdi), %r14\n"
    "  mov 64(%rdi), %r15\n"
    "  mov %rsi, %rdi\n"
    "  mov %rdx, %rsi\n"
    "  mov $1, %edx\n"
    "  xor %eax, %eax\n"
    "  syscall\n"
    "  pop %rdi\n"
    "  mov %rbx, 0(%rdi);  mov %rbp, 8(%rdi);  mov %r8, 16(%rdi);  mov %r9, 24(%rdi)\n"
    "  mov %r10, 32(%rdi); mov %r12, 40(%rdi); mov %r13, 48(%rdi); mov %r14, 56(%rdi)\n"
    "  mov %r15, 64(%rdi)\n"
    "  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "  ret\n");

static void* Read(void* unused) {
  reader = Tid();
  ThreadReady();
  EXPECT_EQ(1, ReadWithRegisters(registers, pipe_fds[0], &byte));
  return unused;
}

int main(void) {
  Fill(registers, sizeof(registers), 2);
  REQUIRE(pipe(pipe_fds) == 0);
  pthread_t thread = StartThread(Read, NULL);
  WaitThreadsReady(1);
  WaitUntilIn(reader, SYS_read);
  Checkpoint();
  EXPECT_EQ(1, write(pipe_fds[1], "x", 1));
  Join(thread);
  EXPECT_EQ('x', byte);
  ExpectFilled("rbx rbp r8 r9 r10 r12...r15", registers, sizeof(registers), 2);
  Pass();
}
