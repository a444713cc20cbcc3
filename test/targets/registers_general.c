/* Every general register of a thread that runs, without a system call, over the dump. */
#include "test/targets/target.h"

/* In the order that SpinWithRegisters loads and stores. */
enum { kRegisters = 15 };
static uint64_t registers[kRegisters];
volatile int spin = 1;

/* Loads rax..r15 but rsp from `values`, spins till `spin` is 0, and stores them back there. */
void SpinWithRegisters(uint64_t* values);
__asm__(
    "SpinWithRegisters:\n"
    "  push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "  push %rdi\n"
    "  mov 0(%rdi), %rax;  mov 8(%rdi), %rbx;  mov 16(%rdi), %rcx;  mov 24(%rdi), %rdx\n"
    "  mov 32(%rdi), %rsi; mov 48(%rdi), %rbp; mov 56(%rdi), %r8;   mov 64(%rdi), %r9\n"
    "  mov 72(%rdi), %r10; mov 80(%rdi), %r11; mov 88(%rdi), %r12;  mov 96(%rdi), %r13\n"
    "  mov 104(%rdi), %r14; mov 112(%rdi), %r15; mov 40(%rdi), %rdi\n"
    "1: cmpl $0, spin(%rip)\n"
    "  jne 1b\n"
    "  xchg %rdi, (%rsp)\n"
    "  mov %rax, 0(%rdi);  mov %rbx, 8(%rdi);  mov %rcx, 16(%rdi);  mov %rdx, 24(%rdi)\n"
    "  mov %rsi, 32(%rdi); mov %rbp, 48(%rdi); mov %r8, 56(%rdi);   mov %r9, 64(%rdi)\n"
    "  mov %r10, 72(%rdi); mov %r11, 80(%rdi); mov %r12, 88(%rdi);  mov %r13, 96(%rdi)\n"
    "  mov %r14, 104(%rdi); mov %r15, 112(%rdi)\n"
    "  pop %rax\n"
    "  mov %rax, 40(%rdi)\n"
    "  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "  ret\n");

static void* Spin(void* unused) {
  ThreadReady();
  SpinWithRegisters(registers);
  return unused;
}

int main(void) {
  Fill(registers, sizeof(registers), 1);
  pthread_t thread = StartThread(Spin, NULL);
  WaitThreadsReady(1);
  Checkpoint();
  spin = 0;
  Join(thread);
  ExpectFilled("rax rbx rcx rdx rsi rdi rbp r8...r15", registers, sizeof(registers), 1);
  Pass();
}
