#!/bin/sh
# Installs what is missing for building and testing, asks for nothing, and says what it could not.
# Usage: prerequisites.sh cmake postgres …
set -eu

missing=""
have_postgres() { command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }

for want in "$@"; do
    case "$want" in
        cc) command -v cc >/dev/null || missing="$missing gcc libc6-dev" ;;
        c++) command -v c++ >/dev/null || missing="$missing g++" ;;
        cmake) command -v cmake >/dev/null || missing="$missing cmake" ;;
        curl) command -v curl >/dev/null || missing="$missing curl" ;;
        make) command -v make >/dev/null || missing="$missing make" ;;
        openssl) command -v openssl >/dev/null || missing="$missing openssl" ;;
        postgres) have_postgres || missing="$missing postgresql" ;;
        python) python3 -c 'import ensurepip' 2>/dev/null || missing="$missing python3-venv" ;;
        redis) command -v redis-server >/dev/null || missing="$missing redis-server" ;;
        valgrind) command -v valgrind >/dev/null || missing="$missing valgrind" ;;
        wrk) command -v wrk >/dev/null || missing="$missing wrk" ;;
        *) echo "prerequisites.sh: unknown: $want" >&2; exit 2 ;;
    esac
done
command -v cargo >/dev/null || { echo "Rust is missing: see https://rustup.rs" >&2; exit 1; }
[ -z "$missing" ] && exit 0

give_up() {
    echo "Missing, and not installed:$missing" >&2
    echo "$1" >&2
    exit 1
}
command -v apt-get >/dev/null || give_up "Install the equivalents with this system's package manager."
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || give_up "Run: sudo apt-get install -y$missing"
    as_root="sudo -n"
fi
echo "Installing:$missing" >&2
# A package's own cluster is not wanted: the tests start private ones.
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    case "$missing" in *postgresql*)
        $as_root mkdir -p /etc/postgresql-common
        echo "create_main_cluster = false" | $as_root tee /etc/postgresql-common/createcluster.conf >/dev/null ;;
    esac
fi
$as_root apt-get update -qq >/dev/null || give_up "apt-get update failed."
# shellcheck disable=SC2086 # a list of packages
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null \
    || give_up "apt-get install failed."
