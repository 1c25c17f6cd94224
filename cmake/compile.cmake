# Flags of our own code. Generated code links to none of this.

include(CheckCCompilerFlag)
include(CheckCSourceCompiles)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Release or Debug" FORCE)
endif()

# Assertions stay in the release: a process that is wrong about itself must stop, its work is safe in the log.
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g -fno-omit-frame-pointer")
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

add_library(parley-compile INTERFACE)
target_include_directories(parley-compile INTERFACE ${PROJECT_SOURCE_DIR}/lib ${PROJECT_SOURCE_DIR}/services)
target_compile_definitions(parley-compile INTERFACE _GNU_SOURCE $<$<BOOL:${PARLEY_FAILPOINTS}>:PARLEY_FAILPOINTS>)
target_compile_options(parley-compile INTERFACE
    -Wall -Wextra -Werror -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
    -Wvla -Wundef -Wwrite-strings -Wformat=2)

# Everything, generated code too, is instrumented the same way.
add_compile_options(-fno-strict-aliasing -fno-common)

if(PARLEY_SANITIZE STREQUAL "")
  # -D_FORTIFY_SOURCE=3 needs a glibc and a compiler that know it: glibc warns otherwise.
  set(CMAKE_REQUIRED_FLAGS "-O2 -Werror -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3")
  check_c_source_compiles("#include <string.h>
      #if !__has_builtin(__builtin_dynamic_object_size)
      #error too old
      #endif
      int main(void) { return 0; }" PARLEY_HAS_FORTIFY_3)
  unset(CMAKE_REQUIRED_FLAGS)
  if(CMAKE_BUILD_TYPE STREQUAL "Release")
    add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$<IF:$<BOOL:${PARLEY_HAS_FORTIFY_3}>,3,2>)
    foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection)
      string(MAKE_C_IDENTIFIER "PARLEY_HAS${flag}" has)
      check_c_compiler_flag("-Werror ${flag}" ${has})
      if(${has})
        add_compile_options(${flag})
      endif()
    endforeach()
    add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack)
  endif()
elseif(PARLEY_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(PARLEY_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
elseif(PARLEY_SANITIZE STREQUAL "fuzzer")
  if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "PARLEY_SANITIZE=fuzzer needs clang")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
else()
  message(FATAL_ERROR "PARLEY_SANITIZE=${PARLEY_SANITIZE}: takes address, thread, fuzzer or nothing")
endif()

include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

# parley_library(parley-x SOURCES … [LIBS …]): a static library of ours. LIBS are passed on to who links it.
function(parley_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS")
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE parley-compile PUBLIC ${arg_LIBS})
endfunction()

# parley_binary(parley-x SOURCES … [LIBS …])
function(parley_binary name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS")
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE parley-compile ${arg_LIBS})
endfunction()
