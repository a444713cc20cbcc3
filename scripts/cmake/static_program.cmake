# A program of shared libraries spends more time on finding, mapping and relocating its 40 of them
# than on the dump of a small process. Debian's -dev packages bring archives as well, but their
# CMake files name shared ones: with DUMPCTL_STATIC the archives beside them are taken instead.
#
#   dumpctl_use_archives()            after find_package
#   dumpctl_link_statically(PROGRAM)
#
# Unless DUMPCTL_PIE, at a fixed address: one that finds out for itself where it is writes 11,700
# addresses into 30 pages first, a page fault each.

include(CheckCXXSourceCompiles)

# spdlog and fmt come without archives: whoever uses them takes them as headers alone.
function(dumpctl_use_archives)
  get_directory_property(targets IMPORTED_TARGETS)
  list(FILTER targets INCLUDE REGEX "^(absl|protobuf)::")
  foreach(target ${targets})
    get_target_property(configurations ${target} IMPORTED_CONFIGURATIONS)
    set(locations IMPORTED_LOCATION)
    if(configurations)
      list(TRANSFORM configurations PREPEND IMPORTED_LOCATION_)
      list(APPEND locations ${configurations})
    endif()
    foreach(location ${locations})
      get_target_property(library ${target} ${location})
      string(REGEX REPLACE "\\.so[.0-9]*$" ".a" archive "${library}")
      if(EXISTS "${archive}")
        set_target_properties(${target} PROPERTIES ${location} ${archive})
      endif()
    endforeach()
  endforeach()
  # pkg-config's targets name their libraries by path.
  get_target_property(libraries PkgConfig::LIBNL INTERFACE_LINK_LIBRARIES)
  string(REGEX REPLACE "\\.so$" ".a" archives "${libraries}")
  set_target_properties(PkgConfig::LIBNL PROPERTIES INTERFACE_LINK_LIBRARIES
                        "${archives};Threads::Threads")
  # Of libarchive, what reads tar takes no other library.
  get_target_property(libraries PkgConfig::LIBARCHIVE INTERFACE_LINK_LIBRARIES)
  string(REGEX REPLACE "\\.so$" ".a" archives "${libraries}")
  set_target_properties(PkgConfig::LIBARCHIVE PROPERTIES INTERFACE_LINK_LIBRARIES "${archives}")
  set_target_properties(spdlog::spdlog_header_only PROPERTIES INTERFACE_LINK_LIBRARIES
                        "Threads::Threads;fmt::fmt-header-only")
endfunction()

function(dumpctl_link_statically program)
  if(fixed_program)
    set(kind -static)
  else()
    set(kind -static-pie)
  endif()
  set(CMAKE_REQUIRED_LINK_OPTIONS ${kind})
  check_cxx_source_compiles("int main() {}" DUMPCTL_CAN_LINK_STATICALLY)
  if(DUMPCTL_CAN_LINK_STATICALLY)
    # libnl has name resolution in it, of which the linker warns in every static program; none of
    # it is ever called. That warning cannot be turned off alone: --no-warnings has GNU ld 2.40 link
    # programs that lack symbols, too, without a word.
    target_link_options(${program} PRIVATE ${kind} -Wl,--gc-sections)
    dumpctl_order_functions(${program})
  endif()
endfunction()

# What a dump runs lies side by side (scripts/function-order). GNU ld learns that with 2.43 only.
function(dumpctl_order_functions program)
  find_program(DUMPCTL_LLD ld.lld DOC "a linker that takes functions in a given order")
  if(DUMPCTL_LLD)
    set(order ${PROJECT_SOURCE_DIR}/scripts/cmake/function_order.txt)
    target_link_options(${program} PRIVATE -fuse-ld=lld -Wl,--symbol-ordering-file=${order}
                        -Wl,--no-warn-symbol-ordering)
    set_property(TARGET ${program} APPEND PROPERTY LINK_DEPENDS ${order})
  endif()
endfunction()
