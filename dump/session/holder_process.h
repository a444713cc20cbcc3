#ifndef DUMP_SESSION_HOLDER_PROCESS_H_
#define DUMP_SESSION_HOLDER_PROCESS_H_

namespace dumpctl::holder {

// The life of a TrackingHolder's process, which has just been forked: it is given what it holds by
// `socket`, and ends by _exit alone.
[[noreturn]] void BecomeHolder(int socket);

}  // namespace dumpctl::holder

#endif  // DUMP_SESSION_HOLDER_PROCESS_H_
