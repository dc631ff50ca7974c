# s3: an S3 server, moto's. It keeps all in memory: what is stopped has forgotten its buckets.
# shellcheck shell=bash disable=SC2034,SC2154  # what the caller reads and sets

s3_prepare() { "$(s3_home)/bin/python" -c 'import moto.server'; }
s3_command() { command=("$(s3_home)/bin/python" "$parts/s3/serve.py" "$(port s3)"); }
s3_ready() { curl -sSf -m 2 -o /dev/null "http://127.0.0.1:$(port s3)/moto-api/" 2>/dev/null; }
s3_env() {
    echo "FLOW_PIPELINE_TEST_S3=http://127.0.0.1:$(port s3)"
    # It takes any. Credentials come by the environment alone, so tests need them there, too.
    echo "AWS_ACCESS_KEY_ID=flow"
    echo "AWS_SECRET_ACCESS_KEY=flow-secret"
}
