#ifndef TEST_INJECT_BUSY_REGISTERS_H_
#define TEST_INJECT_BUSY_REGISTERS_H_

#include <cstdint>

namespace dumpctl {

// Holds known values in every general register but the stack pointer, in the red zone below it and
// in the flags for a while, and looks at them all the time. False when one has changed.
bool GeneralRegistersHold();

// Computes for a while in vector registers (AVX where the CPU has it) from what is always the same;
// the result always is, too.
uint64_t VectorChecksum();

}  // namespace dumpctl

#endif  // TEST_INJECT_BUSY_REGISTERS_H_
