#ifndef DUMP_CLI_REPORT_TEXT_H_
#define DUMP_CLI_REPORT_TEXT_H_

#include <cstdint>
#include <string>

#include "dump/session/dump_report.h"

namespace dumpctl {

// What a dump tells when it is done: a few lines for people, or one JSON object for programs (times
// in microseconds).
std::string ReportText(const DumpReport& report);
std::string ReportJson(const DumpReport& report);

// So many bytes: "12 B", "3.4 MiB".
std::string SizeText(uint64_t bytes);

}  // namespace dumpctl

#endif  // DUMP_CLI_REPORT_TEXT_H_
