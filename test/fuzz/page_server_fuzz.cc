#include "dump/image/page_server_protocol.h"
#include "test/fuzz/check.h"

// What a peer sends, without the pages: heads of the size that the first one has.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using dumpctl::HeadSize;
  std::string_view bytes = dumpctl::TextOf(data, size);
  if (bytes.size() < static_cast<size_t>(HeadSize::kOld)) return 0;
  const HeadSize heads = dumpctl::SizeOfFirstHead(bytes);
  const auto each = static_cast<size_t>(heads);
  for (; bytes.size() >= each; bytes.remove_prefix(each)) {
    const auto head = dumpctl::ParseHead(bytes.substr(0, each));
    if (!dumpctl::Parsed(head)) continue;
    dumpctl::Require(dumpctl::FormatHead(*head, heads) == bytes.substr(0, each));
    const auto owner = dumpctl::OwnerOf(head->object);
    if (dumpctl::Parsed(owner)) dumpctl::Require(dumpctl::ObjectOf(*owner) == head->object);
  }
  return 0;
}
