#ifndef PROC_VMA_KIND_H_
#define PROC_VMA_KIND_H_

#include "dumpctl/vma.h"

namespace dumpctl {

// What a mapping is. `facts` are its file's; null where it has no file or the file was not opened,
// and then only the name can tell. Pure.
VmaKind KindOf(const Mapping& mapping, const FileFacts* facts);

}  // namespace dumpctl

#endif  // PROC_VMA_KIND_H_
