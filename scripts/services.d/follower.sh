# A second broker in kafka's cluster: a broker alone, its controller is kafka. Topics that ask for two replicas have one
# here, and some of their leaders. All settings but names and places are those of the first one.
# shellcheck shell=bash disable=SC2034,SC2154  # what the caller reads and sets

follower_prepare() {
    local at
    at=${FLOW_PIPELINE_TEST_KAFKA_HOST:-127.0.0.1}:$(port follower)
    sed -e 's#^process\.roles=.*#process.roles=broker#;s#^node\.id=.*#node.id=2#' \
        -e "s#^\(advertised\.\)\?listeners=.*#\1listeners=PLAINTEXT://$at#" \
        -e "s#^log\.dirs=.*#log.dirs=$dir/follower/data#" \
        "$dir/kafka/server.properties" >"$dir/follower/server.properties"
    kafka_jvm follower 160m kafka.tools.StorageTool format -t "$kafka_cluster" -c "$dir/follower/server.properties"
    "${command[@]}"
}

follower_command() {
    : >"$dir/follower/log" # follower_ready reads it
    kafka_jvm follower 160m kafka.Kafka "$dir/follower/server.properties"
}

follower_ready() { grep -q 'Kafka Server started' "$dir/follower/log"; }
follower_env() { :; } # clients learn of it from the first one
