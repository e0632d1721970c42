// The text of storage/sql, as built into the program.
#pragma once

#include <span>

namespace shoal {

// storage/sql/migrations/NN-what.sql: makes version NN of the tables out of version NN-1.
struct Migration {
  int version;
  const char* what;
  const char* sql;
};

[[nodiscard]] std::span<const Migration> sql_migrations();  // by version, from 1 on without gaps
[[nodiscard]] const char* sql_schema();                     // the views of the latest version

}  // namespace shoal
