# ClickHouse over TLS: stunnel in front of its HTTP port, since the listener of libchdb has no TLS. The
# certificate is for `localhost`.
# shellcheck shell=bash disable=SC2034,SC2154  # what the caller reads and sets

https_prepare() {
    make_certificate
    cat >"$dir/https/stunnel.conf" <<CONF
foreground = yes
pid =
[clickhouse]
accept = 127.0.0.1:$(port https)
connect = 127.0.0.1:$(port clickhouse)
cert = $dir/tls/server.pem
key = $dir/tls/server.key
CONF
}

https_command() { command=(stunnel "$dir/https/stunnel.conf"); }
https_ready() { (exec 3<>"/dev/tcp/127.0.0.1/$(port https)") 2>/dev/null; }

https_env() {
    echo "FLOW_PIPELINE_TEST_CLICKHOUSE_TLS=clickhouse://default@localhost:$(port https)"
    echo "FLOW_PIPELINE_TEST_CA=$dir/tls/ca.pem"
}
