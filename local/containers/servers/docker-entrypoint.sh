#!/bin/sh
# Starts the server that the arguments are for: `postgres …`, or the options of a cache.
set -eu
[ "${1-}" != redis-server ] || shift
case "${1-}" in
  postgres) shift; exec start-postgres.sh "$@" ;;
  *) PYTHONPATH=/opt/iam exec python3.13 -m servers.cache "$@" ;;
esac
