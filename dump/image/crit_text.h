#ifndef DUMP_IMAGE_CRIT_TEXT_H_
#define DUMP_IMAGE_CRIT_TEXT_H_

#include <string>
#include <string_view>

namespace dumpctl {

// The two ways in which crit writes bytes as text.

// Base64 in lines of 76 characters, each with its newline; nothing for no bytes.
std::string Base64Lines(std::string_view bytes);

// RFC 2045's quoted-printable, with newlines and carriage returns kept as they are: what crit makes
// of names of unix sockets, which may hold zeros and anything else.
std::string QuotedPrintable(std::string_view bytes);

}  // namespace dumpctl

#endif  // DUMP_IMAGE_CRIT_TEXT_H_
