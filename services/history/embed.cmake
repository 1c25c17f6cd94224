# Writes a C file with the content of migrations/*.sql. Run at build time: cmake -DOUT=… -DDIR=… -P embed.cmake
file(GLOB files ${DIR}/*.sql)
list(SORT files)
set(rows "")
set(texts "")
foreach(file IN LISTS files)
  get_filename_component(name ${file} NAME_WE)
  string(REGEX MATCH "^[0-9]+" version ${name})
  string(REGEX REPLACE "^0+" "" version ${version})
  file(SHA256 ${file} checksum)
  # As bytes: a string literal has a limit, and CMake lists break at semicolons.
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(APPEND texts "static const char sql_${version}[] = {${bytes}0};\n")
  string(APPEND rows "        {${version}, \"${name}\", sql_${version}, \"${checksum}\"},\n")
endforeach()
file(WRITE ${OUT}.new "#include \"history/migrations.h\"\n\n${texts}\nconst struct migration migrations[] = {\n${rows}};\n"
     "const unsigned n_migrations = sizeof(migrations) / sizeof(*migrations);\n")
file(RENAME ${OUT}.new ${OUT})
