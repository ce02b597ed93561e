#!/bin/sh
# Run by the PostgreSQL image once, when it makes the cluster: a base backup comes over the replication protocol, which
# the image's own rules admit from the container itself only.
set -eu
echo "host replication $POSTGRES_USER all scram-sha-256" >> "$PGDATA/pg_hba.conf"
