#include <elf.h>

#include "proc/auxv_parser.h"
#include "test/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto auxv = dumpctl::ParseAuxv(dumpctl::TextOf(data, size));
  if (dumpctl::Parsed(auxv)) {
    dumpctl::Require(auxv->size() % 2 == 0 && (auxv->size() + 2) * sizeof(uint64_t) <= size);
    for (size_t i = 0; i < auxv->size(); i += 2) dumpctl::Require((*auxv)[i] != AT_NULL);
  }
  return 0;
}
