#!/bin/sh
# Makes the secrets and the environment file that docker-compose.yml names, where they are missing. What is
# there is kept, so it can run before every start.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
# Each container sees the files that it is given, as users of its own: they can be read by all, behind a folder
# that only its owner can enter.
chmod 700 secrets

# secret <name> <text>
secret() {
  if [ ! -s "secrets/$1" ]; then
    printf '%s\n' "$2" > "secrets/$1"
    chmod 444 "secrets/$1"
  fi
}
random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

for name in postgres-password temporal-database-password tidegate-database-password tidegate-token \
  metrics-token link-secret grafana-password; do
  secret "$name" "$(random)"
done
secret tidegate-database-url \
  "postgres://tidegate:$(cat secrets/tidegate-database-password)@postgres:5432/tidegate"

if [ ! -e tidegate.env ]; then
  cat > tidegate.env <<'END'
# Where connectors reach their systems, and what sources verify with: docs/reference/configuration.md.
# Until then, connectors without configuration keep what they would have sent.
TIDEGATE_ALLOW_FAKES=true
END
  chmod 600 tidegate.env
fi
