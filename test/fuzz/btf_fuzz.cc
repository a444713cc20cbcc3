#include "proc/bpf_vma_iterator.h"
#include "proc/btf_parser.h"
#include "test/fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto layout = dumpctl::FindVmaIteratorLayout(dumpctl::TextOf(data, size));
  // What a kernel does not have is no fault of its text.
  if (!absl::IsNotFound(layout.status())) dumpctl::Parsed(layout);
  auto btf = dumpctl::Btf::Parse(dumpctl::TextOf(data, size));
  constexpr dumpctl::BtfName kNames[] = {{dumpctl::BtfKind::kStruct, "file"}};
  if (!btf.ok()) return 0;
  const auto found = btf->Find(kNames);
  if (found.ok()) btf->StructOf(found->front(), "f_path").IgnoreError();
  return 0;
}
