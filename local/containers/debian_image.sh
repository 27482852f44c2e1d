# Sourced by the scripts that build images from Debian packages, where images cannot be pulled. They need Debian, root, a
# Docker engine, mmdebstrap, and a python3 with pip.

python=3.13
suite=trixie # the Debian release that has this Python
project=$(cd "$(dirname "$0")/../.." && pwd)

say() { echo "${0##*/}: $*" >&2; }
stop() { say "$*"; exit 1; }

require_tools() {
  docker info >/dev/null 2>&1 || stop "no Docker engine answers"
  for tool in apt-get mmdebstrap; do
    command -v "$tool" >/dev/null || stop "'$tool' is missing: this needs Debian and its package mmdebstrap"
  done
  python3 -m pip --version >/dev/null 2>&1 || stop "python3 has no pip: put .venv/bin first on PATH"
  [ "$(id -u)" = 0 ] || stop "only root can build it: sudo env \"PATH=\$PATH\" $0 $*"
  # The mirror that this machine already uses. Asking apt covers both formats of its source files.
  mirror=$(apt-get indextargets --format "\$(REPO_URI)" 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sed 1q)
  [ -n "$mirror" ] || stop "apt knows no Debian mirror: run 'apt-get update' first"
  stage=$(mktemp -d)
  trap 'rm -rf "$stage"' EXIT
}

# Usage: install_wheels REQUIREMENTS FOLDER
install_wheels() {
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile \
    --require-hashes --no-deps --only-binary=:all: --implementation cp --python-version "$python" \
    --platform "manylinux_2_28_$(uname -m)" --platform "manylinux2014_$(uname -m)" \
    --requirement "$project/requirements/$1" --target "$2"
}
