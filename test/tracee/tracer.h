#ifndef TEST_TRACEE_TRACER_H_
#define TEST_TRACEE_TRACER_H_

#include <sys/types.h>
#include <unistd.h>

#include "dump/tracee/frozen_task.h"
#include "dump/tracee/remote_syscalls.h"
#include "test/tracee/child.h"

namespace dumpctl {

// A process of its own, to be killed, that freezes a child and exits with what `body(task, calls)`
// gives; with 1 or 2 where it does not come to that.
template <typename Body>
pid_t ForkTracer(const Child& child, Body body) {
  const pid_t tracer = fork();
  if (tracer != 0) return tracer;
  auto task = FrozenTask::Freeze(child.pid(), Soon());
  if (!task.ok()) _exit(1);
  auto calls = RemoteSyscalls::Create(*task);
  if (!calls.ok()) _exit(2);
  _exit(body(*task, *calls));
}

}  // namespace dumpctl

#endif  // TEST_TRACEE_TRACER_H_
