#!/bin/sh
# The source topic, and the ACLs of README.md, made with Kafka's own tools by its administrator: acls.sh TOPIC USER PARTITIONS
set -eu
topic=$1 user=$2 partitions=$3 group=sluice
bin=/opt/kafka/bin
server="--bootstrap-server kafka:19092 --command-config /run/secrets/kafka_admin"
acls() { "$bin/kafka-acls.sh" $server --add --allow-principal "User:$user" "$@" >/dev/null; }

"$bin/kafka-topics.sh" $server --create --if-not-exists --topic "$topic" --partitions "$partitions" --replication-factor 1
# a worker
acls --operation Read --topic "$topic" --group "$group"
acls --operation Read --operation Write --operation Create --topic "$topic.$group." --resource-pattern-type prefixed
# who publishes: here the demo's load, as the same user
acls --operation Write --topic "$topic"
echo "acls: User:$user may read $topic in group $group, publish to it, and make, write and read $topic.$group.*"
