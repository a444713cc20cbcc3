#include "proc/bpf_vma_iterator.h"
#include "proc/btf_parser.h"
#include "test/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto layout = dumpctl::FindVmaIteratorLayout(dumpctl::TextOf(data, size));
  // What a kernel does not have is no fault of its text.
  if (!absl::IsNotFound(layout.status())) dumpctl::Parsed(layout);
  return 0;
}
