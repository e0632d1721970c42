# The Debian 12 packages that building, testing and the quickstart need, and a function that installs what is missing.
# Sourced by the scripts beside it; not run by itself.
# shellcheck shell=bash disable=SC2034

# Compiler and build tools.
SHOAL_PACKAGES_BUILD=(build-essential cmake ninja-build ccache pkg-config git ca-certificates)
# Libraries of the program.
SHOAL_PACKAGES_LIBRARIES=(libtorrent-rasterbar-dev libboost-dev libcurl4-openssl-dev libsqlite3-dev libspdlog-dev
  nlohmann-json3-dev libcli11-dev libtomlplusplus-dev prometheus-cpp-dev libsystemd-dev libssl-dev)
# The stand-in Hub, the functional tests (namespaces by ip), and looking at the database.
SHOAL_PACKAGES_RUN=(python3 curl sqlite3 iproute2)
# The test framework, a download program, and the browser that the status page is tested in (with Node.js and npm where they are).
SHOAL_PACKAGES_TEST=(libgtest-dev libgmock-dev chromium aria2)

# The fuzz targets as libFuzzer programs (tools/fuzz); not needed to build or test.
SHOAL_PACKAGES_FUZZ=(clang-16 libclang-rt-16-dev)

# What shoal is compared with in tools/bench; not needed to build or test it.
SHOAL_PACKAGES_BENCH=(nginx qbittorrent-nox python3-libtorrent)

# install_packages PACKAGE...: says what is missing and installs it, as root or through sudo. Nothing missing: no apt-get.
install_packages() {
  local missing=() package
  for package in "$@"; do
    [[ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" == installed ]] || missing+=("$package")
  done
  if ((${#missing[@]} == 0)); then
    echo "== packages: all $# are installed"
    return
  fi
  echo "== packages: installing ${missing[*]}"
  local as_root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || { echo "not root and no sudo: apt-get install ${missing[*]}" >&2; return 1; }
    as_root=(sudo)
  fi
  "${as_root[@]}" apt-get update -q
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
}
