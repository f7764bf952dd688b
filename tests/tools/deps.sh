#!/bin/bash
# What a bare Debian 12 or 13 lacks for a part of the work, and why; installed with apt, or only told.
#
#   tests/tools/deps.sh build demo test real lint compose    install what these parts lack
#   AUTO_DEPS=0 tests/tools/deps.sh build            print the line that would install it, and fail
#   tests/tools/deps.sh --missing real               print the packages that are missing, change nothing
#
# Exit codes: 0 nothing is missing (any more), 1 something is.
set -u
cd "$(dirname "$0")/../.." || exit 1

tell_only=0
if [ "${1:-}" = --missing ]; then
    tell_only=1
    shift
fi

packages=()
reasons=()

# want PACKAGE "why" PROBE...: the package is missing when the probe fails
want() {
    local package=$1 why=$2
    shift 2
    "$@" >/dev/null 2>&1 && return
    case " ${packages[*]} " in *" $package "*) return ;; esac
    packages+=("$package")
    reasons+=("$why")
}
program() { command -v "$1"; }
library() { pkg-config --exists "$1"; }

part_build() {
    want gcc "compiles the C code" program "${CC:-cc}"
    want libc6-dev "the C library's headers" test -e /usr/include/stdio.h
    want pkg-config "finds the libraries" program pkg-config
    want librdkafka-dev "Kafka" library rdkafka
    want libhiredis-dev "Redis" library hiredis
    want libjson-c-dev "JSON" library json-c
    want libcurl4-openssl-dev "HTTP calls" library libcurl
    want libmicrohttpd-dev "the admin port" library libmicrohttpd
    want libyaml-dev "the configuration file" library yaml-0.1
    want libssl-dev "signatures, hashes, TLS to Redis" library libssl
}
part_demo() {
    want redis-server "a private Redis (its own service is not used)" program redis-server
}
part_test() {
    want libcmocka-dev "unit tests" library cmocka
    want python3 "end-to-end scenarios and their judge" program python3
    want redis-server "a private Redis for each scenario (its own service is not used)" program redis-server
    want kcat "publishes and reads records independently of our code" program kcat
    want openssl "makes certificates" program openssl
}
part_real() {
    part_test
    want default-jre-headless "runs Apache Kafka" program java
    want prometheus "checks the form of /metrics (promtool; its own service is not used)" program promtool
    want maven "fetches Apache Kafka's jars from Maven Central" program mvn
    want chromium "looks at the console" program chromium
    want nodejs "drives the browser" program node
    want npm "fetches what drives it (playwright-core)" program npm
}
part_compose() {
    part_real
    want docker.io "the container engine" program dockerd
    want docker-compose "starts the project" program docker-compose
    want python3-yaml "reads the compose file" python3 -c "import yaml"
    want python3-jsonschema "holds it against the specification" python3 -c "import jsonschema"
    want debootstrap "makes the base image where no registry can be reached" program debootstrap
}
part_kube() {
    part_test
    want etcd-server "keeps what the API machinery of Kubernetes serves (its own service is not used)" program etcd
}
part_lint() {
    want python3 "the rules of the house" program python3
    want clang-format "layout on the page" program clang-format
    want clang-tidy "static analysis" program clang-tidy
}

for part in "$@"; do
    case $part in
    build | demo | test | real | lint | compose | kube) "part_$part" ;;
    *)
        echo "deps: no part called '$part' (build demo test real lint compose kube)" >&2
        exit 64
        ;;
    esac
done

[ ${#packages[@]} -gt 0 ] || exit 0

if [ $tell_only = 1 ]; then
    echo "${packages[*]}"
    exit 1
fi

sudo=
[ "$(id -u)" = 0 ] || sudo="sudo "
line="${sudo}apt-get install -y --no-install-recommends ${packages[*]}"

echo "Missing on this machine:"
for i in "${!packages[@]}"; do
    printf '  %-22s %s\n' "${packages[$i]}" "${reasons[$i]}"
done
if [ "${AUTO_DEPS:-1}" = 0 ]; then
    echo "Install it with:"
    echo "  $line"
    exit 1
fi
if ! command -v apt-get >/dev/null; then
    echo "This is not a Debian: install what is listed above by its own means."
    exit 1
fi
echo "Installing it (AUTO_DEPS=0 prints the line instead):"
echo "  $line"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
${sudo}apt-get update -qq >"$log" 2>&1 </dev/null && $line >>"$log" 2>&1 </dev/null && exit 0
tail -20 "$log"
exit 1
