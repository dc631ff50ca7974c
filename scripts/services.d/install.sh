# Installs what the servers are made of: Debian's packages that are missing, the rest into $cache.
#
# Why a cache of its own: a second run needs no network. Law: a folder in it is there whole or not at all (made
# under another name, then renamed), and was checked against its checksums.
# shellcheck shell=bash disable=SC2154  # versions.sh and the caller set them

as_root() {
    if ((EUID == 0)); then "$@"; else sudo -- "$@"; fi
}

# postgres_bin: the folder of PostgreSQL's newest installed server.
postgres_bin() { find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1; }

install_debian() {
    local entry missing=()
    for entry in "${debian_packages[@]}"; do
        PATH=$PATH:/usr/sbin command -v "${entry% *}" >/dev/null || missing+=("${entry#* }")
    done
    [[ -n $(postgres_bin) ]] || missing+=(postgresql)
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    ((${#missing[@]})) || return 0
    echo "Debian: ${missing[*]}"
    # Debian starts a server when it installs one, on every interface; ours are started here, on loopback.
    local policy=/usr/sbin/policy-rc.d ours=false status=0
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod +x "$policy"
        ours=true
    fi
    as_root apt-get update && as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends "${missing[@]}" || status=$?
    if $ours; then as_root rm -f "$policy"; fi
    return $status
}

# into FOLDER COMMAND...: the command fills the folder that is its last argument, which then becomes FOLDER.
into() {
    local folder=$1
    shift
    [[ -d $folder ]] && return 0
    basename "$folder"
    rm -rf "$folder.partial"
    mkdir -p "$folder.partial"
    "$@" "$folder.partial" || return
    mv "$folder.partial" "$folder"
}

fill_kafka() {
    cp "$parts/kafka/pom.xml" "$1/" || return
    (cd "$1" && mvn --quiet --batch-mode "-Dkafka.version=$kafka_version" -DincludeScope=runtime -DoutputDirectory=lib \
        "org.apache.maven.plugins:maven-dependency-plugin:$maven_dependency_plugin_version:copy-dependencies") || return
    (cd "$1/lib" && sha256sum --quiet --check --strict "$parts/kafka/jars.sha256")
}

fill_clickhouse() {
    cp "$parts"/clickhouse/package*.json "$1/" || return
    (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
}

fill_serve() { cc -O2 -Wall -Wextra -Werror -o "$1/serve" "$parts/clickhouse/serve.c" -ldl -lpthread; }

fill_noida() {
    python3 -m venv "$1/pip" || return
    "$1/pip/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
        --dest "$1" --requirement "$parts/noida/requirements.txt" || return
    python3 -m zipfile --extract "$1"/*.whl "$1" || return
    chmod +x "$1/noida_db/noida-db"
    rm -rf "$1/pip" "$1"/*.whl
}

# A virtual environment knows its own path: what is in it is called by `python -m`, which does not mind a new one.
fill_s3() {
    python3 -m venv "$1" || return
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
        --requirement "$parts/s3/requirements.txt"
}

kafka_home() { echo "$cache/kafka-$kafka_version"; }
clickhouse_home() { echo "$cache/clickhouse-$clickhouse_version"; }
serve_home() { echo "$cache/clickhouse-serve-$(sha256sum <"$parts/clickhouse/serve.c" | cut -c 1-12)"; }
noida_home() { echo "$cache/noida-$noida_version"; }
s3_home() { echo "$cache/s3-moto-$moto_version"; }

# One at a time: two clones may share the cache.
install_all() (
    if [[ $(uname -m) != x86_64 ]]; then
        echo "services: ClickHouse's library and noida are to be had for x86_64 only" >&2
        return 1
    fi
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock 9
    install_debian || return
    into "$(kafka_home)" fill_kafka || return
    into "$(clickhouse_home)" fill_clickhouse || return
    into "$(serve_home)" fill_serve || return
    into "$(noida_home)" fill_noida || return
    into "$(s3_home)" fill_s3
)
