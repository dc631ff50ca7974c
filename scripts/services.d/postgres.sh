# PostgreSQL: Debian's, one cluster, user postgres without a password; TLS offered (the certificate is for
# `localhost`, so that `127.0.0.1` with verify-full must be refused). Not durable: fsync is off. No Unix socket.
# shellcheck shell=bash disable=SC2034,SC2154  # what the caller reads and sets

# PostgreSQL refuses to run as root.
as_postgres() {
    if ((EUID == 0)); then command=(setpriv --reuid=postgres --regid=postgres --clear-groups "$@"); else command=("$@"); fi
}

postgres_prepare() {
    local home=$dir/postgres
    make_certificate
    cp "$dir/tls/server.pem" "$dir/tls/server.key" "$home/"
    chmod 600 "$home/server.key"
    if ((EUID == 0)); then
        chmod o+x "$dir"
        chown -R postgres: "$home"
        if ! setpriv --reuid=postgres --regid=postgres --clear-groups test -x "$home"; then
            echo "user postgres cannot reach $home: make the folders above it searchable (chmod o+x)" >&2
            return 1
        fi
    fi
    port postgres >/dev/null
    as_postgres "$(postgres_bin)/initdb" -D "$home/data" -A trust -U postgres --no-sync -E UTF8 --locale=C
    (cd "$home" && "${command[@]}")
}

postgres_command() {
    local home=$dir/postgres
    # After SIGKILL its pid may still be a zombie, or someone else's: PostgreSQL would not start.
    rm -f "$home/data/postmaster.pid"
    as_postgres "$(postgres_bin)/postgres" -D "$home/data" -h 127.0.0.1 -p "$(port postgres)" -c unix_socket_directories= \
        -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200 \
        -c ssl=on -c "ssl_cert_file=$home/server.pem" -c "ssl_key_file=$home/server.key"
}

postgres_ready() { "$(postgres_bin)/pg_isready" -q -t 2 -U postgres -h 127.0.0.1 -p "$(port postgres)"; }
# SIGTERM would wait for every client to leave.
postgres_stop_signal=INT

postgres_env() {
    echo "FLOW_PIPELINE_TEST_POSTGRES=postgres://postgres@127.0.0.1:$(port postgres)/postgres"
    echo "FLOW_PIPELINE_TEST_CA=$dir/tls/ca.pem"
}
