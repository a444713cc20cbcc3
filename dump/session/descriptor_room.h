#ifndef DUMP_SESSION_DESCRIPTOR_ROOM_H_
#define DUMP_SESSION_DESCRIPTOR_ROOM_H_

#include <cstddef>

namespace dumpctl {

// How many we hold besides theirs, of the dump as a whole and of each task.
constexpr size_t OurDescriptors(size_t tasks) { return 200 + 4 * tasks; }

// Makes the table of our descriptors large enough for so many, as far as RLIMIT_NOFILE allows.
//
// Kernel trap: the table doubles when it is full, and where threads share it, whoever made it full
// waits until all processors have noticed that (synchronize_rcu), some 5 to 15 ms each time, in the
// freeze like anywhere else. So this is to be called while there is but one thread.
void ReserveDescriptors(size_t count);

}  // namespace dumpctl

#endif  // DUMP_SESSION_DESCRIPTOR_ROOM_H_
