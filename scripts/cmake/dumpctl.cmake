# One library per file pair or room, each with its own explicit dependencies, so that an include
# that points upward or sideways fails to link (and, for headers of other rooms, to review).
#
#   dumpctl_library(NAME SOURCES a.cc... PUBLIC deps... PRIVATE deps...)
#   dumpctl_test(NAME SOURCES a_test.cc... DEPS libs...)

add_library(dumpctl_options INTERFACE)
target_compile_options(dumpctl_options INTERFACE
  -Wall -Wextra -Wno-missing-field-initializers
  $<$<BOOL:${DUMPCTL_WERROR}>:-Werror>
  $<$<BOOL:${DUMPCTL_SANITIZE}>:-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer>
  $<$<BOOL:${DUMPCTL_COVERAGE}>:--coverage>
  $<$<BOOL:${DUMPCTL_FUZZ}>:-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined>)
target_link_options(dumpctl_options INTERFACE
  $<$<BOOL:${DUMPCTL_SANITIZE}>:-fsanitize=address,undefined>
  $<$<BOOL:${DUMPCTL_COVERAGE}>:--coverage>
  $<$<BOOL:${DUMPCTL_FUZZ}>:-fsanitize=address,undefined>)

function(dumpctl_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  if(arg_SOURCES)
    add_library(${name} STATIC ${arg_SOURCES})
    target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
    target_link_libraries(${name} PUBLIC ${arg_PUBLIC} PRIVATE dumpctl_options ${arg_PRIVATE})
  else()
    add_library(${name} INTERFACE)
    target_include_directories(${name} INTERFACE ${PROJECT_SOURCE_DIR})
    target_link_libraries(${name} INTERFACE ${arg_PUBLIC})
  endif()
endfunction()

function(dumpctl_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE dumpctl_options ${arg_DEPS} GTest::gmock GTest::gtest_main)
  # gcc 12 sees overlapping copies in `"x" + std::string()` where there are none, in gtest's headers
  # as well (gcc bug 105651).
  target_compile_options(${name} PRIVATE
    $<$<AND:$<COMPILE_LANG_AND_ID:CXX,GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>)
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60)
endfunction()
