# Third-party libraries, by pkg-config. What scripts/deps built (.deps/prefix) comes before the system.
#
# Each becomes a target parley::<name>. One that is missing stops the configuration with the list of all that are missing,
# unless PARLEY_ALLOW_MISSING is on: then it fails only where something that needs it is compiled.

option(PARLEY_ALLOW_MISSING "Configure although third-party libraries are missing" OFF)

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

set(parley_prefix ${PROJECT_SOURCE_DIR}/.deps/prefix)
if(EXISTS ${parley_prefix}/lib/pkgconfig)
  set(ENV{PKG_CONFIG_PATH} "${parley_prefix}/lib/pkgconfig:$ENV{PKG_CONFIG_PATH}")
endif()

set(parley_missing "")

# parley_dependency(name "pkg-config module and version" …)
function(parley_dependency name)
  string(TOUPPER "PARLEY_PC_${name}" var)
  pkg_check_modules(${var} QUIET IMPORTED_TARGET GLOBAL ${ARGN})
  add_library(parley-dep-${name} INTERFACE)
  add_library(parley::${name} ALIAS parley-dep-${name})
  if(${var}_FOUND)
    target_link_libraries(parley-dep-${name} INTERFACE PkgConfig::${var})
  else()
    set(parley_missing ${parley_missing} "${ARGN}" PARENT_SCOPE)
  endif()
endfunction()

parley_dependency(uv "libuv>=1.44")
parley_dependency(protobuf-c "libprotobuf-c>=1.4.1")
parley_dependency(nats "libnats>=3.10")
parley_dependency(websockets "libwebsockets>=4.3.5")
parley_dependency(microhttpd "libmicrohttpd>=1.0.1")
parley_dependency(yyjson "yyjson>=0.10")
parley_dependency(pq "libpq>=15")
parley_dependency(curl "libcurl>=7.88")
parley_dependency(ssl "libssl>=3.0")
parley_dependency(crypto "libcrypto>=3.0")
parley_dependency(zlib "zlib>=1.2")
parley_dependency(expat "expat>=2.5")
parley_dependency(magic "libmagic>=5.40")
if(BUILD_TESTING OR NOT DEFINED BUILD_TESTING)
  parley_dependency(cmocka "cmocka>=1.1.5")
endif()

find_path(PARLEY_UTHASH_INCLUDE uthash.h)
add_library(parley-dep-uthash INTERFACE)
add_library(parley::uthash ALIAS parley-dep-uthash)
if(NOT PARLEY_UTHASH_INCLUDE)
  list(APPEND parley_missing "uthash.h")
elseif(NOT PARLEY_UTHASH_INCLUDE STREQUAL "/usr/include")
  target_include_directories(parley-dep-uthash SYSTEM INTERFACE ${PARLEY_UTHASH_INCLUDE})
endif()

# The allocator of the gateway, linked in: the shared one of Debian would bring the library of C++ into the image. Where a sanitizer is
# the allocator, it is nothing.
add_library(parley-dep-jemalloc INTERFACE)
add_library(parley::jemalloc ALIAS parley-dep-jemalloc)
if(PARLEY_SANITIZE STREQUAL "")
  find_library(PARLEY_JEMALLOC NAMES libjemalloc_pic.a jemalloc)
  if(PARLEY_JEMALLOC)
    target_link_libraries(parley-dep-jemalloc INTERFACE ${PARLEY_JEMALLOC} m Threads::Threads ${CMAKE_DL_LIBS})
  else()
    list(APPEND parley_missing "jemalloc")
  endif()
endif()

if(parley_missing)
  list(JOIN parley_missing ", " parley_missing_text)
  if(PARLEY_ALLOW_MISSING)
    message(WARNING "Missing: ${parley_missing_text}")
  else()
    message(FATAL_ERROR "Missing: ${parley_missing_text}. Run scripts/deps (or configure with -DPARLEY_ALLOW_MISSING=ON).")
  endif()
endif()
