#!/usr/bin/env bash
# Usage: local/containers/server_images.sh IMAGE…
#
# Builds one image under all these names, of a PostgreSQL and of a cache that are as strict as RDS and ElastiCache: they
# accept TLS only, and check IAM tokens with botocore's signer. Debian's PostgreSQL 17 and Valkey 8.1 stand in for other
# versions. An emulator of AWS chooses the names, such as postgres:18-alpine below a registry of its own. Takes 40 seconds,
# and none if the image is there.
#
#   /etc/iam.json     who may sign in, by access key: {"KEY": {"secret": …, "session_token": …, "users": [pattern, …]}}.
#                     A container can mount a file of its own there. The default accepts any key ("*") with the
#                     secret of MiniStack, as all users: there the access key is the number of an account.
#   redis-cli         in a container of the cache, on port 7000, it is the administrator. The users of ElastiCache are
#                     created with `docker exec CONTAINER redis-cli -p 7000 ACL SETUSER NAME nopass ACCESS-STRING`.
#   CONNECTION_S      the seconds after which the cache ends a connection. The default is ElastiCache's 12 hours.
#
# servers/ has the files of the image.
set -euo pipefail

[ $# -gt 0 ] || { echo "usage: $0 IMAGE…" >&2; exit 2; }
. "$(dirname "$0")/debian_image.sh"
files=$project/local/containers/servers

version=$(cat "$0" "$files"/* "$project/requirements/servers.txt" | sha256sum | cut -c1-16)
is_current() { [ "$(docker image inspect --format '{{.Config.Labels.version}}' "$1" 2>/dev/null)" = "$version" ]; }
old=()
for image in "$@"; do is_current "$image" || old+=("$image"); done
[ "${#old[@]}" -gt 0 ] || { say "the images are there already"; exit 0; }

exec 9>/tmp/cacheaside-server-images.lock
flock 9 # of two that need the image at once, the second finds what the first has built
built=$(docker images --quiet --filter "label=version=$version" | sed 1q)
if [ -z "$built" ]; then
  require_tools "$@"
  say "installing the signer"
  install_wheels servers.txt "$stage/iam"
  rm -r "$stage/iam/botocore/data" # descriptions of all services, which no signature needs
  mkdir "$stage/iam/servers"
  cp "$files"/*.py "$stage/iam/servers"
  cp "$files/pam_script_auth" "$stage/iam"

  say "building from Debian $suite"
  built=$(mmdebstrap --variant=essential --include="python$python,postgresql,valkey-server,valkey-tools,libpam-script" \
    --customize-hook="copy-in '$stage/iam' /opt" \
    --customize-hook="chroot \"\$1\" python$python -m compileall -q /opt/iam" \
    --customize-hook="copy-in '$files/iam.json' /etc" --customize-hook="copy-in '$files/postgres.pam' /etc/pam.d" \
    --customize-hook="copy-in '$files/docker-entrypoint.sh' '$files/start-postgres.sh' /usr/local/bin" \
    --customize-hook='mkdir -p "$1/data" && chroot "$1" ln -sf /usr/bin/valkey-cli /usr/local/bin/redis-cli' \
    "$suite" - "$mirror" |
    docker import --change 'ENV LANG=C.UTF-8' --change "LABEL version=$version" \
      --change 'ENTRYPOINT ["docker-entrypoint.sh"]' --change 'CMD ["postgres"]' \
      --message 'stand-in for RDS and ElastiCache' -)
fi
for image in "${old[@]}"; do docker tag "$built" "$image"; done
say "done"
