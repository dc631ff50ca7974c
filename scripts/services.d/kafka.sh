# Apache Kafka in KRaft mode, one node: broker and controller.
# shellcheck shell=bash disable=SC2154  # the caller sets dir, parts

kafka_jvm() {
    command=(java -Xms64m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto
        "-XX:ErrorFile=$dir/kafka/hs_err.log" -Dorg.slf4j.simpleLogger.defaultLogLevel=warn
        -Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info -Dorg.slf4j.simpleLogger.showDateTime=true
        -cp "$(kafka_home)/lib/*" "$@")
}

kafka_prepare() {
    sed -e "s#@DIR@#$dir/kafka#;s#@BPORT@#$(port kafka)#;s#@CPORT@#$(port kafka controller)#" \
        "$parts/kafka/server.properties" >"$dir/kafka/server.properties"
    # The cluster's id is a constant: nothing else talks to it.
    kafka_jvm kafka.tools.StorageTool format -t kTestClusterAAAAAAAAAAA -c "$dir/kafka/server.properties"
    "${command[@]}"
}

kafka_command() {
    : >"$dir/kafka/log" # kafka_ready reads it
    kafka_jvm kafka.Kafka "$dir/kafka/server.properties"
}

kafka_ready() { grep -q 'Kafka Server started' "$dir/kafka/log"; }
kafka_env() { echo "FLOW_PIPELINE_TEST_KAFKA=127.0.0.1:$(port kafka)"; }
