# What the tests' servers are, in one place. Debian's packages come in the release's own version; the others are
# pinned here or, with their checksums, in the files named.
#
#   Kafka            kafka/pom.xml, checksums in kafka/jars.sha256
#   ClickHouse       clickhouse/package.json, checksum in clickhouse/package-lock.json (libchdb: x86_64)
#   noida            noida/requirements.txt (x86_64)
#   S3 (moto)        s3/requirements.txt (x86_64)
#
# The version is part of the folder's name in the cache, so that a new one is installed beside the old one.
# shellcheck shell=bash disable=SC2034  # read by the files beside this one

kafka_version=3.9.1
maven_dependency_plugin_version=3.8.1
clickhouse_version=26.7.3-stable.1
noida_version=0.2.3
moto_version=5.2.5

# Debian's packages: COMMAND that shows it is there, PACKAGE.
debian_packages=(
    "cc build-essential"
    "curl curl"
    "ip iproute2"
    "java default-jre-headless"
    "kcat kcat"
    "mvn maven"
    "nfcapd nfdump"
    "npm npm"
    "openssl openssl"
    "pmacctd pmacct"
    "prometheus prometheus"
    "python3 python3"
    "sfcapd nfdump-sflow"
    "softflowd softflowd"
    "sqlite3 sqlite3"
    "stunnel stunnel4"
)
