# One library per file pair or room, each with its own explicit dependencies, so that an include
# that points upward or sideways fails to link (and, for headers of other rooms, to review).
#
#   dumpctl_library(NAME SOURCES a.cc... PUBLIC deps... PRIVATE deps...)
#   dumpctl_test(NAME SOURCES a_test.cc... DEPS libs...)

add_library(dumpctl_options INTERFACE)
target_compile_options(dumpctl_options INTERFACE
  -Wall -Wextra -Wno-missing-field-initializers
  $<$<BOOL:${static_program}>:-ffunction-sections>
  $<$<BOOL:${fixed_program}>:-fno-pie>
  $<$<BOOL:${DUMPCTL_WERROR}>:-Werror>
  $<$<BOOL:${DUMPCTL_SANITIZE}>:-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer>
  $<$<BOOL:${DUMPCTL_COVERAGE}>:--coverage>
  $<$<BOOL:${DUMPCTL_FUZZ}>:-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined>)
target_link_options(dumpctl_options INTERFACE
  $<$<BOOL:${fixed_program}>:-no-pie>
  $<$<BOOL:${DUMPCTL_SANITIZE}>:-fsanitize=address,undefined>
  $<$<BOOL:${DUMPCTL_COVERAGE}>:--coverage>
  $<$<BOOL:${DUMPCTL_FUZZ}>:-fsanitize=address,undefined>)

# Half of the time of a small source goes into parsing the same headers: once is enough.
function(dumpctl_product_headers)
  file(WRITE ${PROJECT_BINARY_DIR}/product_headers.cc "")
  add_library(product_headers OBJECT ${PROJECT_BINARY_DIR}/product_headers.cc)
  target_link_libraries(product_headers PRIVATE dumpctl_options absl::statusor absl::str_format)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    target_precompile_headers(product_headers PRIVATE ${PROJECT_SOURCE_DIR}/scripts/cmake/product_headers.h)
  endif()
endfunction()

# For what is compiled with the same options.
function(dumpctl_use_product_headers name)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    target_precompile_headers(${name} REUSE_FROM product_headers)
  endif()
endfunction()

function(dumpctl_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  if(arg_SOURCES AND DUMPCTL_UNITY)
    dumpctl_room_sources(${ARGV})
  elseif(arg_SOURCES)
    add_library(${name} STATIC ${arg_SOURCES})
    target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
    target_link_libraries(${name} PUBLIC ${arg_PUBLIC} PRIVATE dumpctl_options ${arg_PRIVATE})
    dumpctl_use_product_headers(${name})
  else()
    add_library(${name} INTERFACE)
    target_include_directories(${name} INTERFACE ${PROJECT_SOURCE_DIR})
    target_link_libraries(${name} INTERFACE ${arg_PUBLIC})
  endif()
endfunction()

# With DUMPCTL_UNITY (scripts/test) a room is one library, compiled some sources at a time: gcc spends
# more time on the headers of a source than on what it says. The libraries' names stand for it.
function(dumpctl_room_sources name)
  cmake_parse_arguments(arg "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  get_filename_component(directory ${CMAKE_CURRENT_SOURCE_DIR} NAME)
  set(room ${directory}_room)
  if(NOT TARGET ${room})
    add_library(${room} STATIC)
    target_include_directories(${room} PUBLIC ${PROJECT_SOURCE_DIR})
    set_target_properties(${room} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
    dumpctl_use_product_headers(${room})
  endif()
  target_sources(${room} PRIVATE ${arg_SOURCES})
  target_link_libraries(${room} PUBLIC ${arg_PUBLIC} PRIVATE dumpctl_options ${arg_PRIVATE})
  add_library(${name} INTERFACE)
  target_link_libraries(${name} INTERFACE ${room})
endfunction()

# gtest's headers take longer to compile than most tests behind them: once is enough. Nobody waits
# for tests that are not optimised, but for their compiler.
function(dumpctl_test_headers)
  file(WRITE ${PROJECT_BINARY_DIR}/test_headers.cc "")
  add_library(test_headers OBJECT ${PROJECT_BINARY_DIR}/test_headers.cc)
  target_link_libraries(test_headers PRIVATE dumpctl_options absl::statusor absl::strings GTest::gmock)
  dumpctl_test_options(test_headers)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    target_precompile_headers(test_headers PRIVATE ${PROJECT_SOURCE_DIR}/scripts/cmake/test_headers.h)
  endif()
endfunction()

function(dumpctl_test_options name)
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O0>)
  # gcc 12 sees overlapping copies in `"x" + std::string()` where there are none, in gtest's headers
  # as well (gcc bug 105651).
  target_compile_options(${name} PRIVATE
    $<$<AND:$<COMPILE_LANG_AND_ID:CXX,GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>)
endfunction()

# With DUMPCTL_UNITY_TESTS (scripts/test) the tests of a directory are one program, compiled a dozen
# sources at a time: most of the time of a test's source goes into instantiating the same templates
# of gtest. Without it each is a program of its own, with none but its own dependencies. ALONE: in
# either case; so with LOCK, what no other test may use meanwhile (RESOURCE_LOCK), and with SERIAL,
# where none may run meanwhile (RUN_SERIAL).
function(dumpctl_test name)
  cmake_parse_arguments(arg "ALONE;SERIAL" "LOCK" "SOURCES;DEPS" ${ARGN})
  if(arg_ALONE OR arg_SERIAL OR arg_LOCK OR NOT DUMPCTL_UNITY_TESTS)
    dumpctl_test_program(${name} SOURCES ${arg_SOURCES} DEPS ${arg_DEPS} LOCK ${arg_LOCK}
                         SERIAL ${arg_SERIAL})
    return()
  endif()
  get_property(begun DIRECTORY PROPERTY dumpctl_test_sources SET)
  if(NOT begun)
    cmake_language(DEFER CALL dumpctl_room_tests)
  endif()
  set_property(DIRECTORY APPEND PROPERTY dumpctl_test_sources ${arg_SOURCES})
  set_property(DIRECTORY APPEND PROPERTY dumpctl_test_deps ${arg_DEPS})
endfunction()

function(dumpctl_room_tests)
  get_property(sources DIRECTORY PROPERTY dumpctl_test_sources)
  get_property(deps DIRECTORY PROPERTY dumpctl_test_deps)
  list(REMOVE_DUPLICATES sources)
  list(REMOVE_DUPLICATES deps)
  get_filename_component(room ${CMAKE_CURRENT_SOURCE_DIR} NAME)
  dumpctl_test_program(${room}_tests SOURCES ${sources} DEPS ${deps})
  set_target_properties(${room}_tests PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 12)
endfunction()

function(dumpctl_test_program name)
  cmake_parse_arguments(arg "" "LOCK;SERIAL" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE dumpctl_options ${arg_DEPS} GTest::gmock GTest::gtest_main)
  dumpctl_test_options(${name})
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    target_precompile_headers(${name} REUSE_FROM test_headers)
  endif()
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60
                       PROPERTIES TIMEOUT 120 RESOURCE_LOCK "${arg_LOCK}"
                                  RUN_SERIAL "${arg_SERIAL}")
endfunction()
