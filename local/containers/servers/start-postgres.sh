#!/bin/sh
# Usage: start-postgres.sh -c ssl=on -c ssl_cert_file=FILE -c ssl_key_file=FILE …
#
# Starts PostgreSQL with the roles of RDS. POSTGRES_USER is the master user: no superuser, and a member of rds_iam.
# POSTGRES_DB is its database.
set -eu

bin=$(echo /usr/lib/postgresql/*/bin)
data=/var/lib/postgresql/data
for option; do
  case $option in ssl_cert_file=*) ln -sf "${option#*=}" /run/database.crt ;; esac
done
as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }

if [ ! -e "$data/PG_VERSION" ]; then
  mkdir -p "$data"
  chown -R postgres:postgres /var/lib/postgresql
  as_postgres "$bin/initdb" --username=rdsadmin --auth=trust --encoding=UTF8 --no-sync "$data" >/dev/null
  # Members of rds_iam cannot sign in with a password, and nobody without TLS.
  cat >"$data/pg_hba.conf" <<HBA
local   all rdsadmin         trust
hostssl all +rds_iam     all pam pamservice=postgres.pam
hostssl all all          all scram-sha-256
HBA
  database=
  [ "$POSTGRES_DB" = postgres ] || database="create database \"$POSTGRES_DB\" owner \"$POSTGRES_USER\";"
  as_postgres "$bin/postgres" --single -D "$data" postgres >/dev/null <<SQL
create role rds_iam;
create role rds_superuser in role pg_monitor, pg_signal_backend;
create role "$POSTGRES_USER" login createrole createdb in role rds_superuser;
grant rds_iam to "$POSTGRES_USER" with admin option;
$database
SQL
fi
# See pam_script_auth.
printf '%s %s' "$POSTGRES_USER" "${POSTGRES_PASSWORD-}" >/run/ready_password
chown postgres /run/ready_password
chmod 600 /run/ready_password
exec setpriv --reuid=postgres --regid=postgres --init-groups \
  "$bin/postgres" -D "$data" -c listen_addresses='*' -c unix_socket_directories=/tmp "$@"
