// What most tests include, compiled once for all of them (precompiled). A test names what it uses
// all the same: it is built without this as well, by compilers other than gcc.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
