# parley_schema(): proto/parley/v1/*.proto and google/protobuf/timestamp.proto through protobuf-c into the static library
# parley-schema. Include as "parley/v1/event.pb-c.h".

find_program(PARLEY_PROTOC protoc REQUIRED)
find_program(PARLEY_PROTOC_GEN_C protoc-gen-c REQUIRED)
find_path(PARLEY_PROTO_INCLUDE google/protobuf/timestamp.proto REQUIRED)

function(parley_schema)
  set(out ${PROJECT_BINARY_DIR}/schema)
  set(proto ${PROJECT_SOURCE_DIR}/proto)
  file(GLOB ours CONFIGURE_DEPENDS RELATIVE ${proto} ${proto}/parley/v1/*.proto)
  list(TRANSFORM ours PREPEND ${proto}/ OUTPUT_VARIABLE our_files)
  set(all google/protobuf/timestamp.proto ${ours})
  set(sources "")
  set(headers "")
  foreach(file IN LISTS all)
    string(REGEX REPLACE "\\.proto$" ".pb-c" stem ${file})
    list(APPEND sources ${out}/${stem}.c)
    list(APPEND headers ${out}/${stem}.h)
  endforeach()
  file(MAKE_DIRECTORY ${out})
  add_custom_command(
      OUTPUT ${sources} ${headers}
      COMMAND ${PARLEY_PROTOC} --plugin=protoc-gen-c=${PARLEY_PROTOC_GEN_C} --c_out=${out}
              -I ${proto} -I ${PARLEY_PROTO_INCLUDE} ${all}
      DEPENDS ${our_files}
      COMMENT "Generating the schema"
      VERBATIM)
  add_library(parley-schema STATIC ${sources} ${headers})
  target_include_directories(parley-schema SYSTEM PUBLIC ${out})
  target_link_libraries(parley-schema PUBLIC parley::protobuf-c)
  target_compile_options(parley-schema PRIVATE -w)
endfunction()
