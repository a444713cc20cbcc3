#ifndef DUMP_IMAGE_NO_OWNER_H_
#define DUMP_IMAGE_NO_OWNER_H_

#include "proto/fown.pb.h"

namespace dumpctl {

// Nobody: the owner of a file without SIGIO. The format wants all fields.
inline image::fown_entry NoOwner() {
  image::fown_entry owner;
  owner.set_uid(0);
  owner.set_euid(0);
  owner.set_signum(0);
  owner.set_pid_type(0);
  owner.set_pid(0);
  return owner;
}

}  // namespace dumpctl

#endif  // DUMP_IMAGE_NO_OWNER_H_
