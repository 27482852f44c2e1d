#!/usr/bin/env bash
# Usage: local/containers/stand_in_image.sh IMAGE
#
# Builds IMAGE, a stand-in for the public Lambda image, where that one cannot be pulled: Debian with the same Python
# minor version, and AWS's own runtime client. `sam local` adds its runtime emulator and the layers on top, as it does
# with the public image. Needs Debian, root, a Docker engine, mmdebstrap, and a python3 with pip; takes 20 seconds.
set -euo pipefail

image=${1:?usage: $0 IMAGE}
python=3.13
suite=trixie # the Debian release that has this Python
project=$(cd "$(dirname "$0")/../.." && pwd)

say() { echo "stand-in image: $*" >&2; }
stop() { say "$*"; exit 1; }

docker info >/dev/null 2>&1 || stop "no Docker engine answers"
docker image inspect "$image" >/dev/null 2>&1 && { say "$image is there already"; exit 0; }

for tool in apt-get mmdebstrap; do
  command -v "$tool" >/dev/null || stop "'$tool' is missing: this needs Debian and its package mmdebstrap"
done
python3 -m pip --version >/dev/null 2>&1 || stop "python3 has no pip: put .venv/bin first on PATH"
[ "$(id -u)" = 0 ] || stop "only root can build it: sudo env \"PATH=\$PATH\" $0 $image"

# The mirror that this machine already uses. Asking apt covers both formats of its source files.
mirror=$(apt-get indextargets --format "\$(REPO_URI)" 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sed 1q)
[ -n "$mirror" ] || stop "apt knows no Debian mirror: run 'apt-get update' first"

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
runtime=$stage/var/runtime
mkdir -p "$runtime" "$stage/var/task"

say "installing the runtime client"
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-compile \
  --require-hashes --no-deps --only-binary=:all: --implementation cp --python-version "$python" \
  --platform "manylinux_2_28_$(uname -m)" --platform "manylinux2014_$(uname -m)" \
  --requirement "$project/requirements/stand_in.txt" --target "$runtime"

cat >"$runtime/bootstrap" <<BOOTSTRAP
#!/bin/sh
export PYTHONPATH=/var/task:/opt/python:/var/runtime
exec python$python -m awslambdaric "\$_HANDLER"
BOOTSTRAP
chmod +x "$runtime/bootstrap"

say "building $image from Debian $suite"
# Importing the client here shows now, and not at the first invocation, that a library is missing; it stays compiled.
import="PYTHONDONTWRITEBYTECODE= PYTHONPATH=/var/runtime python$python -c 'import awslambdaric.bootstrap'"
mmdebstrap --variant=essential --include="python$python,libstdc++6,ca-certificates" \
  --customize-hook="copy-in '$stage/var' /" --customize-hook="chroot \"\$1\" env $import" "$suite" - "$mirror" |
  docker import --change 'ENV LANG=C.UTF-8 LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime' \
    --change 'WORKDIR /var/task' --message 'stand-in for the public Lambda image' - "$image" >/dev/null
say "done"
