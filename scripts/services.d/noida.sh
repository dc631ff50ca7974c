# noida: another implementation of the Kafka protocol.
# shellcheck shell=bash disable=SC2034,SC2154  # what the caller reads and sets

noida_prepare() { mkdir -p "$dir/noida/data"; }

noida_command() {
    command=("$(noida_home)/noida_db/noida-db" start --only kafka --host 127.0.0.1
        --kafka-port "$(port noida)" --data-dir "$dir/noida/data")
}

noida_ready() { kcat -L -q -m 2 -b "127.0.0.1:$(port noida)" >/dev/null 2>&1; }
noida_env() { echo "FLOW_PIPELINE_TEST_KAFKA2=127.0.0.1:$(port noida)"; }
