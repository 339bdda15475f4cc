#!/bin/sh
# Brings Temporal's two databases up to the schema of this version; roles.sh has made them.
set -eu
SQL_PASSWORD="$(cat /run/secrets/temporal-database-password)"
export SQL_PASSWORD
schema="${SCHEMA_DIR:-/etc/temporal/schema/postgresql/v12}"

# migrate <database> <folder>
migrate() {
  # Of a database that has a version already, this keeps it.
  temporal-sql-tool --db "$1" setup-schema --version 0.0
  temporal-sql-tool --db "$1" update-schema --schema-dir "$schema/$2/versioned"
}
migrate temporal temporal
migrate temporal_visibility visibility
