// Which question of the Hub's API a request is (reference sections 1 to 3). Pure.
#pragma once

#include "node/core/ids.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace shoal {

struct HubRoute {
  enum class Kind : std::uint8_t {
    none,        // nothing that the Hub has
    bad,         // like something of the Hub, but with a name, revision or path that cannot be
    info,        // /api/models/org/name[/revision/REV]
    tree,        // .../tree/REV[/folder]
    paths_info,  // .../paths-info/REV
    refs,
    commits,
    treesize,
    auth_check,
    xet_token,  // .../xet-read-token/REV
    resolve,    // /org/name/resolve/REV/path, /api/resolve-cache/models/org/name/COMMIT/path
    raw,        // /org/name/raw/REV/path
    trifle,     // telemetry and the like: answered here, asked of nobody
    other_api,  // any other /api/...
  };
  Kind kind = Kind::none;
  RepoRef repo;
  std::string revision;  // "main" where none was given
  std::string path;      // of a file or folder; empty: none
  [[nodiscard]] bool is_api() const {
    return kind != Kind::none && kind != Kind::resolve && kind != Kind::raw;
  }
};

// `raw_path`: as sent, without the query. It is split before it is unescaped, so an escaped slash stays
// inside its part.
[[nodiscard]] HubRoute parse_hub_route(std::string_view raw_path);

// The same tree route with the first part of the folder moved to the revision; false when there is none.
[[nodiscard]] bool lengthen_revision(HubRoute& route);

}  // namespace shoal
