#!/usr/bin/env bash
# Usage: local/stand_in_image.sh IMAGE
#
# Builds IMAGE, a stand-in for the public Lambda image, where that one cannot be pulled: Debian with the same Python
# minor version and AWS's own runtime client. `sam local` adds its runtime emulator and the layers on top, as it does
# with the public image. Needs Debian, root, a Docker engine, mmdebstrap and uv; takes about 20 seconds.
set -euo pipefail

image=${1:?usage: $0 IMAGE}
python=3.13
suite=trixie # the Debian release that has this Python
project=$(cd "$(dirname "$0")/.." && pwd)

say() { echo "stand-in image: $*" >&2; }
stop() { say "$*"; exit 1; }

docker info >/dev/null 2>&1 || stop "no Docker engine answers"
docker image inspect "$image" >/dev/null 2>&1 && { say "$image is there already"; exit 0; }

for tool in apt-get mmdebstrap uv; do
  command -v "$tool" >/dev/null || stop "'$tool' is missing (this needs Debian, its package mmdebstrap, and uv)"
done
[ "$(id -u)" = 0 ] || stop "only root can build it: sudo env \"PATH=\$PATH\" $0 $image"

# The mirror this machine already uses. Asking apt covers both formats of its source files.
mirror=$(apt-get indextargets --format "\$(REPO_URI)" 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1)
[ -n "$mirror" ] || stop "apt knows no Debian mirror yet: run 'apt-get update' first"

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$stage/var/runtime" "$stage/var/task"

say "installing the runtime client"
uv pip install --quiet --python-version "$python" --only-binary :all: --require-hashes \
  --requirement "$project/requirements/stand_in.txt" --target "$stage/var/runtime"

cat >"$stage/var/runtime/bootstrap" <<'BOOTSTRAP'
#!/bin/sh
export PYTHONPATH=/var/task:/opt/python:/var/runtime
exec python3.13 -m awslambdaric "$_HANDLER"
BOOTSTRAP
chmod +x "$stage/var/runtime/bootstrap"

say "building $image from Debian $suite"
# Importing the client once shows here, not at the first invocation, if a library is missing, and leaves its bytecode.
mmdebstrap --variant=essential --include="python$python,ca-certificates,libstdc++6" \
  --customize-hook="copy-in '$stage/var' /" \
  --customize-hook="chroot \"\$1\" env PYTHONDONTWRITEBYTECODE= PYTHONPATH=/var/runtime python$python -c 'import awslambdaric.bootstrap'" \
  "$suite" - "$mirror" |
  docker import --change 'ENV LANG=C.UTF-8 LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime' \
    --change 'WORKDIR /var/task' --message 'stand-in for the public Lambda image' - "$image" >/dev/null
say "done"
