#include "test/inject/busy_registers.h"

#include <immintrin.h>

// A function of its own, so that no compiler has put anything into the registers or the red zone.
asm(R"(
.macro each_register do
  \do rbx, 0x0b0b0b0b
  \do rcx, 0x0c0c0c0c
  \do rdx, 0x0d0d0d0d
  \do rsi, 0x05050505
  \do rdi, 0x0e0e0e0e
  \do rbp, 0x0f0f0f0f
  \do r8,  0x08080808
  \do r9,  0x09090909
  \do r10, 0x10101010
  \do r11, 0x11111111
  \do r12, 0x12121212
  \do r13, 0x13131313
  \do r14, 0x14141414
  \do r15, 0x15151515
.endm
.macro each_red_zone do
  \do -8
  \do -64
  \do -120
  \do -128
.endm
.macro fill_register register, value
  movq $\value, %\register
.endm
.macro look_at_register register, value
  cmpq $\value, %\register
  jne 2f
.endm
.macro fill_red_zone offset
  movq $0x7ed20e + \offset, \offset(%rsp)
.endm
.macro look_at_red_zone offset
  cmpq $0x7ed20e + \offset, \offset(%rsp)
  jne 2f
.endm

.text
.type general_registers_hold, @function
general_registers_hold:
  pushq %rbx
  pushq %rbp
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  each_register fill_register
  each_red_zone fill_red_zone
  movl $100000, %eax
1:
  each_register look_at_register
  each_red_zone look_at_red_zone
  # The carry set here has to be there still.
  stc
  nop
  nop
  nop
  jnc 2f
  decl %eax
  jnz 1b
  movl $1, %eax
  jmp 3f
2:
  xorl %eax, %eax
3:
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbp
  popq %rbx
  ret
.size general_registers_hold, . - general_registers_hold
)");

extern "C" int general_registers_hold();

namespace dumpctl {
namespace {

constexpr int kRounds = 100000;

uint64_t Fold(const uint64_t* words, int n) {
  uint64_t sum = 0;
  for (int i = 0; i < n; ++i) sum = (sum << 7 | sum >> 57) ^ words[i];
  return sum;
}

__attribute__((target("avx2"))) uint64_t AvxChecksum() {
  __m256i a = _mm256_set1_epi64x(0x9e3779b97f4a7c15), b = _mm256_set_epi64x(1, 2, 3, 4);
  __m256i c = _mm256_set_epi64x(5, 6, 7, 8), d = _mm256_set1_epi64x(0x2545f4914f6cdd1d);
  for (int i = 0; i < kRounds; ++i) {
    a = _mm256_add_epi64(a, _mm256_mul_epu32(b, d));
    b = _mm256_xor_si256(_mm256_slli_epi64(b, 13), c);
    c = _mm256_add_epi64(_mm256_srli_epi64(c, 7), a);
    d = _mm256_permute4x64_epi64(_mm256_xor_si256(d, b), 0x39);
  }
  alignas(32) uint64_t words[16];
  _mm256_store_si256(reinterpret_cast<__m256i*>(words), a);
  _mm256_store_si256(reinterpret_cast<__m256i*>(words + 4), b);
  _mm256_store_si256(reinterpret_cast<__m256i*>(words + 8), c);
  _mm256_store_si256(reinterpret_cast<__m256i*>(words + 12), d);
  return Fold(words, 16);
}

uint64_t SseChecksum() {
  __m128i a = _mm_set1_epi64x(0x1234567), b = _mm_set_epi64x(1, 2), c = _mm_set_epi64x(3, 4);
  for (int i = 0; i < kRounds; ++i) {
    a = _mm_add_epi64(a, _mm_mul_epu32(b, c));
    b = _mm_xor_si128(_mm_slli_epi64(b, 13), a);
    c = _mm_add_epi64(_mm_srli_epi64(c, 7), b);
  }
  alignas(16) uint64_t words[6];
  _mm_store_si128(reinterpret_cast<__m128i*>(words), a);
  _mm_store_si128(reinterpret_cast<__m128i*>(words + 2), b);
  _mm_store_si128(reinterpret_cast<__m128i*>(words + 4), c);
  return Fold(words, 6);
}

}  // namespace

bool GeneralRegistersHold() { return general_registers_hold() != 0; }

uint64_t VectorChecksum() {
  const uint64_t avx = __builtin_cpu_supports("avx2") ? AvxChecksum() : 0;
  return avx * 31 + SseChecksum();
}

}  // namespace dumpctl
