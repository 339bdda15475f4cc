#!/bin/sh
# Runs once, while the volume is empty: a role and databases of its own for the journal and for Temporal.
set -eu
psql --set=ON_ERROR_STOP=1 --no-psqlrc --username=postgres --dbname=postgres \
  --set=temporal_password="$(cat /run/secrets/temporal-database-password)" \
  --set=tidegate_password="$(cat /run/secrets/tidegate-database-password)" <<'SQL'
create role temporal login password :'temporal_password';
create role tidegate login password :'tidegate_password';
create database temporal owner temporal;
create database temporal_visibility owner temporal;
create database tidegate owner tidegate;
revoke connect on database temporal, temporal_visibility, tidegate from public;
SQL
