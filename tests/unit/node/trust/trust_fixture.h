// A folder that is gone with the test, and what every test of certificates needs.
#pragma once

#include "node/trust/authority.h"
#include "node/trust/certificates.h"
#include "node/trust/trust_folder.h"
#include "tests/unit/node_id.h"

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace shoal {

inline WallTime wall_now() {
  return {static_cast<std::int64_t>(std::time(nullptr)) * 1000};
}

template <typename T>
T need(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return *std::move(result);
}

class TrustTest : public ::testing::Test {
 protected:
  TrustTest() {
    std::string name = (std::filesystem::temp_directory_path() / "shoal-trust-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    root = name;
  }
  ~TrustTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(root, ignored);
  }

  // A certificate of the authority for a new key of this node.
  static Keyed let_in(const Keyed& authority, NodeId node, const std::string& name = "gpu-1") {
    auto key = need(make_key());
    const auto request = need(make_request(key, node));
    auto cert = need(issue_node(authority, request, node, name, wall_now()));
    return {std::move(key), std::move(cert)};
  }

  std::filesystem::path root;
};

}  // namespace shoal
