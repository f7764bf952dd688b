#!/bin/bash
# The command lines of sluice-producer: exit codes and the words that matter. Offline: the broker is librdkafka's mock
# cluster, hosted by build/tools/mock_kafka.
# usage: tests/cli/check_producer_cli.sh [BUILD]
set -u
build=$(cd "${1:-build}" && pwd) || exit 70
producer=$build/sluice-producer
dir=$(mktemp -d) || exit 70
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 70
for name in $(compgen -e SLUICE_) CI GITHUB_ACTIONS GITLAB_CI JENKINS_URL TEKTON_PIPELINE_RUN TRACEPARENT; do
    unset "$name"
done
passed=0 failed=0

# expect CODE WORDS COMMAND...: its exit code, and WORDS (fixed text) in what it says; "" for any words.
expect() {
    local code=$1 words=$2
    shift 2
    "$@" </dev/null >out 2>&1
    local got=$?
    if [ $got -eq "$code" ] && { [ -z "$words" ] || grep -qF -- "$words" out; }; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL ${*/$build\//}: exit $got, expected $code and \"$words\"; said:"
        sed 's/^/    /' out | head -20
    fi
}
# also WORDS: in what the last one said too
also() {
    if grep -qF -- "$1" out; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL: \"$1\" was not said"
    fi
}
produce() { "$producer" "$@"; }
from() { # from FILE COMMAND...: with that standard input
    local file=$1
    shift
    produce "$@" <"$file"
}

# usage
expect 64 'which command?' produce
expect 64 'did you mean "publish"?' produce publsh
expect 64 'needs one more word: topics ensure' produce topics
expect 0 'commands:' produce help
expect 0 '--keep-going' produce help publish
expect 0 'librdkafka' produce version
expect 0 '"librdkafka"' produce version --json

# publish --print
event=(publish --print --repo acme/api --commit 3f9c2e1d9a --run 88123)
expect 64 '--repo is missing' produce publish --print
expect 64 '--commit is missing' produce publish --print --repo acme/api
expect 64 '--format "xml": expected sluice' produce "${event[@]}" --format xml
expect 64 '-header "novalue": expected NAME=VALUE' produce "${event[@]}" -H novalue
expect 64 'needs --image' produce "${event[@]}" --format devtron
expect 64 'carries no id' produce "${event[@]}" --format devtron --image a:1 --id 7
expect 64 '--timeout' produce "${event[@]}" --timeout 5
expect 65 '/branch holds a control character' produce "${event[@]}" --branch $'main\r\nX: 1'
expect 65 '/time is no RFC 3339 time' produce "${event[@]}" --time yesterday
expect 0 '"key":"acme/api"' produce "${event[@]}"
expect 0 '"topic":"deploys"' produce "${event[@]}" -t deploys
expect 0 '"topic":"elsewhere"' env SLUICE_KAFKA_TOPIC=elsewhere "$producer" "${event[@]}"
expect 0 '"key":"k1","headers":{"a":"b=c"' produce "${event[@]}" --key k1 -H a=b=c
expect 0 '"key":"acme/api/pay"' produce "${event[@]}" --app pay
expect 0 'artifact.published.0.3.0' produce "${event[@]}" --format cdevents --image ghcr.io/acme/api:1
expect 0 'pipelinerun.finished.0.3.0' produce "${event[@]}" --format cdevents
expect 0 'application/cloudevents+json' produce "${event[@]}" --format cloudevents
expect 0 '"workflowId":88123' produce "${event[@]}" --format devtron --image ghcr.io/acme/api:1
expect 0 '00-4bf92f3577b34da6a3ce929d0e0e4736-' \
    env TRACEPARENT=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 "$producer" "${event[@]}"
# the same build has the same id, whatever the time; another run has another
id() { produce publish --print --repo acme/api --commit 3f9c "$@" 2>/dev/null | grep -o '"id":"[0-9a-f]*"'; }
expect 0 '' [ "$(id --run 1 --time 2026-01-01T00:00:00Z)" = "$(id --run 1)" ]
expect 1 '' [ "$(id --run 1)" = "$(id --run 2)" ]

# in a CI system
github=(env GITHUB_ACTIONS=true GITHUB_REPOSITORY=acme/api GITHUB_SHA=3f9c2e1d9a GITHUB_RUN_ID=88123 "$producer")
expect 0 'detected GitHub Actions: acme/api@3f9c2e1 run 88123' "${github[@]}" publish --print
also '"run":"88123"'
expect 0 '"repo":"acme/other"' "${github[@]}" publish --print --repo acme/other
expect 64 '--repo is missing' "${github[@]}" publish --print --no-ci

# lines
cat >events.jsonl <<'J'
{"id":"1","repo":"acme/a","commit":"aa"}

{"specversion":"1.0","id":"2","source":"x","type":"ci.succeeded","data":{"repo":"acme/b","commit":"bb"}}
{"id":"3","repo":"acme/c","commit":5}
{"id":"4","repo":"acme/d","outcome":"failed"}
not json
{"id":"5","repo":"acme/e","commit":"ee"}
J
expect 65 'events.jsonl:4: /commit must be a string' produce publish --print events.jsonl
expect 65 '"id":"5"' produce publish --print --keep-going events.jsonl
also 'events.jsonl:5: the event reports a failure'
also 'events.jsonl:6: the document cannot be read'
expect 0 '"value":"not json"' produce publish --print --no-check events.jsonl
head -1 events.jsonl >one.jsonl
expect 0 'dev.cdevents' from one.jsonl publish --print --format cdevents -
expect 66 'nowhere.jsonl' produce publish --print nowhere.jsonl

# validate
expect 65 'events.jsonl:4: /commit must be a string' produce validate events.jsonl
also 'events.jsonl:6: the document cannot be read'
expect 65 '"line":4,"pointer":"/commit"' produce validate --json events.jsonl
expect 0 '1 event, 0 faults' from one.jsonl validate
printf '{\n  "id": "1",\n  "branch": 7\n}\n' >pretty.json
expect 65 'pretty.json:1: /branch must be a string' produce validate one.jsonl pretty.json
echo '{"id":"4","outcome":"failed"}' >failed.json
expect 0 'no consumer would act on it' produce validate failed.json
expect 65 '' produce validate --strict failed.json
expect 66 'nowhere.json' produce validate nowhere.json

# topics and simulate: flags
expect 64 '--retry-delays "30"' produce topics ensure --retry-delays 30
expect 64 'Kafka takes letters' produce topics ensure -g 'a b'
expect 64 '--replication "0"' produce topics ensure --replication 0
expect 64 '--rate: "20" is something else' produce simulate --rate 20
expect 64 '--bad "2"' produce simulate --bad 2
expect 64 '--count' produce simulate --count 0

# a configuration file says where Kafka is
cat >sluice.yaml <<'Y'
kafka: {brokers: ["127.0.0.1:1"], topic: from.file, properties: {client.rack: r1}}
targets: {t: {url: "https://cd.example.com/x"}}
Y
echo 'batch: {sise: 1}' >bad.yaml
expect 0 '"topic":"from.file"' produce "${event[@]}" -c sluice.yaml
expect 0 '"topic":"from.flag"' produce "${event[@]}" -c sluice.yaml -t from.flag
expect 66 'nowhere.yaml: error SL-C00' produce "${event[@]}" -c nowhere.yaml
expect 78 'SL-C02' produce "${event[@]}" -c bad.yaml

# nobody there
expect 69 'no answer from Kafka at 127.0.0.1:1 within 0.5 s' \
    produce publish --repo a --commit b -b 127.0.0.1:1 --timeout 500ms
also 'SLUICE_KAFKA_BROKERS'
expect 69 'no answer' produce topics list -b 127.0.0.1:1 --wait 500ms
expect 69 'no answer' produce simulate --count 1 -b 127.0.0.1:1 --timeout 500ms -q
expect 64 'No such configuration property' produce publish --repo a --commit b -X nonsense=1

# with a broker
exec 3> >(exec "$build/tools/mock_kafka" >mock.out)
for _ in $(seq 100); do
    grep -q ^bootstrap mock.out 2>/dev/null && break
    read -rt 0.05 <> <(:)
done
SLUICE_KAFKA_BROKERS=$(sed -n 's/^bootstrap //p' mock.out)
export SLUICE_KAFKA_BROKERS
expect 1 '✗ ci.succeeded' produce topics list
expect 0 'would be created' produce topics ensure --dry-run
expect 1 'try: sluice-producer topics ensure' produce topics list
expect 0 '✓ ci.succeeded.sluice.retry.5m' produce topics ensure
expect 0 '"topic":"ci.succeeded.sluice.dlq","partitions":4,"state":"there already"' produce topics ensure --json
expect 0 '✓ ci.succeeded' produce topics list
expect 0 ']@0 acme/api 3f9c2e1 id=' produce publish --repo acme/api --commit 3f9c2e1d9a
expect 0 '"offset":1,"id":"' produce publish --repo acme/api --commit 3f9c2e1d9a --json
expect 65 '3 published, 3 refused, 0 not acknowledged' produce publish --keep-going events.jsonl
expect 65 '2 published, 1 refused' produce publish events.jsonl
expect 0 'published 500 · acknowledged 500 · failed 0' produce simulate --count 500 --bad 5% --seed 3
expect 0 '"published":20,"acked":20,"failed":0' produce simulate --rate 200/s --for 100ms --json -q
exec 3>&-

# mock-cd
expect 64 '--latency: "120": expected a duration' produce mock-cd --latency 120
expect 64 '--listen "8081"' produce mock-cd --listen 8081
expect 64 'not an address' produce mock-cd --listen nohost.invalid:0
expect 73 '/no/such/dir/log' produce mock-cd --log /no/such/dir/log

# a full disk is an error, not a silence
[ -w /dev/full ] && expect 74 '' bash -c '"$0" help >/dev/full' "$producer"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
