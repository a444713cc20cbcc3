#ifndef DUMP_NS_NAMESPACE_FILE_H_
#define DUMP_NS_NAMESPACE_FILE_H_

#include <sys/types.h>

#include <variant>

#include "dump/ns/namespaces.h"
#include "dumpctl/resource_refusal.h"
#include "proto/special_files.pb.h"

namespace dumpctl {

// A descriptor of the namespace with that inode: the entry, but for what every descriptor's has, or
// why there is none. It has to be one that the tasks of the dump are in (`task`), which have it
// under a number of `ids`: a restore opens it as that of a task.
std::variant<image::ns_file_entry, WhyNotText> NamespaceFile(ino_t inode,
                                                             const NamespaceLinks& task,
                                                             const image::task_kobj_ids_entry& ids);

}  // namespace dumpctl

#endif  // DUMP_NS_NAMESPACE_FILE_H_
