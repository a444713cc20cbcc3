#ifndef DUMPCTL_SEND_DESCRIPTOR_H_
#define DUMPCTL_SEND_DESCRIPTOR_H_

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "dumpctl/unique_fd.h"

namespace dumpctl {

// Gives a descriptor, and a byte that says nothing, to who has the other end of a unix socket
// (unix(7), SCM_RIGHTS). Returns 0 or an errno of sendmsg(2).
inline int SendDescriptor(BorrowedFd socket, BorrowedFd passed) {
  char zero = 0;
  iovec byte = {&zero, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &byte;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int fd = passed.get();
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  return sendmsg(socket.get(), &message, MSG_NOSIGNAL) == 1 ? 0 : errno;
}

}  // namespace dumpctl

#endif  // DUMPCTL_SEND_DESCRIPTOR_H_
