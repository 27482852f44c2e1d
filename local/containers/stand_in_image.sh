#!/usr/bin/env bash
# Usage: local/containers/stand_in_image.sh IMAGE
#
# Builds IMAGE, a stand-in for the public Lambda image, where that one cannot be pulled: Debian with the same Python
# minor version, AWS's own runtime client, and as its entrypoint the runtime emulator that the SAM CLI brings. `sam local`
# adds another one and the layers on top, as it does with the public image. Takes 20 seconds.
set -euo pipefail

image=${1:?usage: $0 IMAGE}
. "$(dirname "$0")/debian_image.sh"

docker image inspect "$image" >/dev/null 2>&1 && { say "$image is there already"; exit 0; }
require_tools "$image"

runtime=$stage/var/runtime
mkdir -p "$runtime" "$stage/var/task"

say "installing the runtime client"
install_wheels stand_in.txt "$runtime"

cat >"$runtime/bootstrap" <<BOOTSTRAP
#!/bin/sh
export PYTHONPATH=/var/task:/opt/python:/var/runtime
exec python$python -m awslambdaric "\$_HANDLER"
BOOTSTRAP
chmod +x "$runtime/bootstrap"

machine=$(uname -m)
cp "$project"/.venv-sam/lib/python3*/site-packages/samcli/local/rapid/"aws-lambda-rie-${machine/aarch64/arm64}" \
  "$stage/var/aws-lambda-rie" || stop "the SAM CLI is not in .venv-sam: run 'make .venv-sam'"
cat >"$stage/var/entrypoint.sh" <<'ENTRYPOINT'
#!/bin/sh
_HANDLER=$1 exec /var/aws-lambda-rie /var/runtime/bootstrap
ENTRYPOINT
chmod +x "$stage/var/entrypoint.sh"

say "building $image from Debian $suite"
# Importing the client here shows now, and not at the first invocation, that a library is missing; it stays compiled.
import="PYTHONDONTWRITEBYTECODE= PYTHONPATH=/var/runtime python$python -c 'import awslambdaric.bootstrap'"
mmdebstrap --variant=essential --include="python$python,libstdc++6,ca-certificates" \
  --customize-hook="copy-in '$stage/var' /" --customize-hook="chroot \"\$1\" env $import" "$suite" - "$mirror" |
  docker import --change 'ENV LANG=C.UTF-8 LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime' \
    --change 'WORKDIR /var/task' --change 'ENTRYPOINT ["/var/entrypoint.sh"]' --message 'stand-in for the public Lambda image' - "$image" >/dev/null
say "done"
