#ifndef TEST_INJECT_TASK_TRACE_H_
#define TEST_INJECT_TASK_TRACE_H_

#include <sys/types.h>

#include <map>
#include <string>

namespace dumpctl {

// Everything of a program that a dump could leave a trace in, as text by name ("maps", "fd 3",
// "thread 12: SigBlk"). Of a program that changes nothing of it by itself, two are equal.
std::map<std::string, std::string> TracesOf(pid_t pid);

// The first difference, in words; empty when there is none.
std::string Difference(const std::map<std::string, std::string>& before,
                       const std::map<std::string, std::string>& after);

// Whether threads are traced or stopped, in words; empty when all run free.
std::string HeldThreads(pid_t pid);

// Whether a stopped thread stands on code in the vDSO: a program is rarely found there, unless
// somebody lets it run what he has put behind the vDSO's own code.
bool StandsInVdso(pid_t pid);

// One line of /proc/PID/status or /proc/PID/task/TID/status: the value of `field`.
std::string StatusField(const std::string& directory, const std::string& field);

}  // namespace dumpctl

#endif  // TEST_INJECT_TASK_TRACE_H_
