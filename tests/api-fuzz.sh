#!/bin/sh
# Holds the OpenAPI document against a running server with schemathesis, from a private venv,
# within three minutes. Its settings are in .schemathesis.toml.
set -eu
cd "$(dirname "$0")/.."

venv=target/venv
[ -x "$venv/bin/schemathesis" ] || {
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "schemathesis==4.32.5"
}

data=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$data"' EXIT

# Requests without a key are tried by the hundred, all from one address: it is not to be blocked.
cat >"$data/gatepost.toml" <<'CONFIG'
[proxy]
listen = ["127.0.0.1:18080"]

[management]
listen = "127.0.0.1:19090"

[store]
url = "sqlite://gatepost.db"

[lockout]
source_failures = "60000/min"

[upstreams.nobody]
servers = ["127.0.0.1:18081"]

[[routes]]
name = "everything"
path = "/{*rest}"
require = []
upstream = "nobody"
CONFIG
MANAGEMENT=http://127.0.0.1:19090
ADMIN_KEY=$(target/debug/gatepost bootstrap --config "$data/gatepost.toml" --email fuzz@example.com)
export MANAGEMENT ADMIN_KEY

target/debug/gatepost serve --config "$data/gatepost.toml" >"$data/log" 2>&1 &
server=$!
waited=0
until target/debug/gatepost healthcheck --server "$MANAGEMENT" 2>/dev/null; do
    waited=$((waited + 1))
    [ "$waited" -lt 100 ] || { cat "$data/log" >&2; exit 1; }
    sleep 0.1
done

PYTHONPATH=tests PYTHONDONTWRITEBYTECODE=1 SCHEMATHESIS_HOOKS=api_fuzz_hooks \
    timeout 180 "$venv/bin/schemathesis" --config-file .schemathesis.toml run \
    "$MANAGEMENT/openapi.json" --header "X-API-Key: $ADMIN_KEY" --seed 1 --max-examples 10
