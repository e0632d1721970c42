# Writes OUT, a .cc with the text of the .sql files (see sql_embedded.h). Run by CMakeLists.txt at build time.
function(literal file result)
  file(READ ${SOURCE_DIR}/${file} text)
  # g++ takes raw string literals of any length; ")sql" does not occur in SQL.
  set(${result} "R\"sql(${text})sql\"" PARENT_SCOPE)
endfunction()

set(body "")
foreach(file IN LISTS MIGRATIONS)
  string(REGEX MATCH "/([0-9]+)-([^/]*)\\.sql$" matched ${file})
  if(NOT matched)
    message(FATAL_ERROR "${file} is not called NN-what.sql")
  endif()
  set(number ${CMAKE_MATCH_1})
  set(name ${CMAKE_MATCH_2})
  math(EXPR number "${number}")
  literal(${file} text)
  string(APPEND body "    {${number}, \"${name}\", ${text}},\n")
endforeach()
set(schema "")
foreach(file IN LISTS SCHEMA)
  literal(${file} text)
  string(APPEND schema "    ${text}\n")
endforeach()
file(WRITE ${OUT} "#include \"storage/sql_embedded.h\"\n\nnamespace shoal {\n\n"
  "static constexpr Migration kMigrations[] = {\n${body}};\n\n"
  "std::span<const Migration> sql_migrations() {\n  return kMigrations;\n}\n\n"
  "const char* sql_schema() {\n  return\n${schema};\n}\n\n}  // namespace shoal\n")
