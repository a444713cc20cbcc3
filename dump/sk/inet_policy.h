#ifndef DUMP_SK_INET_POLICY_H_
#define DUMP_SK_INET_POLICY_H_

namespace dumpctl {

// What a user lets a dump do with internet sockets; see dumpctl(1).
struct InetPolicy {
  bool skip_in_flight = false;
};

}  // namespace dumpctl

#endif  // DUMP_SK_INET_POLICY_H_
