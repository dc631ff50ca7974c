# Prometheus: Debian's. It scrapes itself, unless DIR/prometheus/prometheus.yml was there before.
# shellcheck shell=bash disable=SC2034,SC2154  # what the caller reads and sets

prometheus_prepare() {
    local config=$dir/prometheus/prometheus.yml
    [[ -e $config ]] || cat >"$config" <<YAML
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: ['127.0.0.1:$(port prometheus)']}]
YAML
}

prometheus_command() {
    command=(prometheus "--config.file=$dir/prometheus/prometheus.yml" "--storage.tsdb.path=$dir/prometheus/data"
        "--web.listen-address=127.0.0.1:$(port prometheus)" --web.enable-lifecycle --log.level=warn)
}

prometheus_ready() { curl -sSf -m 2 -o /dev/null "http://127.0.0.1:$(port prometheus)/-/ready" 2>/dev/null; }
prometheus_env() { echo "FLOW_PIPELINE_TEST_PROMETHEUS=http://127.0.0.1:$(port prometheus)"; }
