# Apache Kafka in KRaft mode, one node: broker and controller. A second listener speaks TLS and wants a password
# (user flow, password flow-secret; PLAIN or SCRAM-SHA-256). FLOW_PIPELINE_TEST_KAFKA_HOST is the address of the first
# one, for clients in other network namespaces.
# shellcheck shell=bash disable=SC2034,SC2154  # what the caller reads and sets

# The cluster's id is a constant: nothing else talks to it.
kafka_cluster=kTestClusterAAAAAAAAAAA

# kafka_jvm NAME HEAP CLASS ARGUMENT...
kafka_jvm() {
    local name=$1 heap=$2
    shift 2
    command=(java -Xms64m "-Xmx$heap" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto
        "-XX:ErrorFile=$dir/$name/hs_err.log" -Dorg.slf4j.simpleLogger.defaultLogLevel=warn
        -Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info -Dorg.slf4j.simpleLogger.showDateTime=true
        -cp "$(kafka_home)/lib/*" "$@")
}

kafka_prepare() {
    make_certificate
    cat "$dir/tls/server.key" "$dir/tls/server.pem" >"$dir/kafka/server.pem"
    sed -e "s#@DIR@#$dir/kafka#;s#@HOST@#${FLOW_PIPELINE_TEST_KAFKA_HOST:-127.0.0.1}#;s#@BPORT@#$(port kafka)#" \
        -e "s#@TPORT@#$(port kafka tls)#;s#@CPORT@#$(port kafka controller)#" \
        "$parts/kafka/server.properties" >"$dir/kafka/server.properties"
    kafka_jvm kafka 512m kafka.tools.StorageTool format -t "$kafka_cluster" -c "$dir/kafka/server.properties" \
        --add-scram 'SCRAM-SHA-256=[name=flow,password=flow-secret]'
    "${command[@]}"
}

kafka_command() {
    : >"$dir/kafka/log" # kafka_ready reads it
    kafka_jvm kafka 512m kafka.Kafka "$dir/kafka/server.properties"
}

kafka_ready() { grep -q 'Kafka Server started' "$dir/kafka/log"; }

kafka_env() {
    sed -nE 's#^advertised\.listeners=PLAINTEXT://([^,]*),.*#FLOW_PIPELINE_TEST_KAFKA=\1#p' "$dir/kafka/server.properties"
    echo "FLOW_PIPELINE_TEST_KAFKA_TLS=localhost:$(port kafka tls)"
    echo "FLOW_PIPELINE_TEST_CA=$dir/tls/ca.pem"
}
