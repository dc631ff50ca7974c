# ClickHouse: libchdb with the server's own listeners. Its user `default` has no password. TLS: see https.sh.
# shellcheck shell=bash disable=SC2034,SC2154  # what the caller reads and sets

clickhouse_prepare() { mkdir -p "$dir/clickhouse/data"; }

clickhouse_command() {
    command=("$(serve_home)/serve" "$(clickhouse_home)/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so"
        "--path=$dir/clickhouse/data" --listen_host=127.0.0.1
        "--http_port=$(port clickhouse)" "--tcp_port=$(port clickhouse native)")
}

clickhouse_ready() { [[ $(curl -sS -m 2 "http://127.0.0.1:$(port clickhouse)/ping" 2>/dev/null) == Ok. ]]; }
clickhouse_env() { echo "FLOW_PIPELINE_TEST_CLICKHOUSE=clickhouse://default@127.0.0.1:$(port clickhouse)"; }
