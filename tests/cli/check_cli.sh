#!/bin/bash
# The command lines of sluice-consumer: exit codes and the words that matter. Offline; no broker, no Redis.
# usage: tests/cli/check_cli.sh [BUILD]
set -u
build=$(cd "${1:-build}" && pwd) || exit 70
consumer=$build/sluice-consumer
dir=$(mktemp -d) || exit 70
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 70
for name in $(compgen -e SLUICE_); do unset "$name"; done
export NO_COLOR=1
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
# refute WORDS: the last output does not hold them
refute() {
    if grep -qF -- "$1" out; then
        failed=$((failed + 1))
        echo "FAIL: \"$1\" was said"
    else
        passed=$((passed + 1))
    fi
}
# A mock CD system; it says its port when it is there.
mock_start() {
    exec 3< <(exec "$producer" mock-cd --listen 127.0.0.1:0 "$@" 2>&1)
    mock=$!
    read -r line <&3
    port=${line#*127.0.0.1:}
    port=${port%%[^0-9]*}
}
mock_stop() {
    kill "$mock"
    cat <&3 >/dev/null
}
sluice() { "$consumer" "$@"; }

cat >good.yaml <<'Y'
limits: {deploy: {rate: 50/s, burst: 100}}
targets:
  prod:
    match: {branch: main, app: "pay*"}
    url: https://cd.example.com/deploy/${event.app}
    headers: {authorization: "Bearer ${secret.token}"}
    body: {revision: "${event.commit}", n: 1, s: "1"}
    limits: [deploy]
  other:
    match: {branch: "release/*"}
    url: https://cd.example.com/other
secrets: {token: {file: token}}
Y
cat >bad.yaml <<'Y'
batch: {size: 0, max: 5}
targets:
  t: {url: "http://${event.app}/"}
Y
cat >event.json <<'J'
{"id": "e1", "app": "pay", "repo": "acme/pay", "branch": "main", "commit": "3f9c2e1", "status": "succeeded"}
J
cat >record.json <<'J'
{"key": "k", "headers": {"x": "y"}, "value": {"id": "e2", "app": "pay", "branch": "main", "commit": "it's", "status": "succeeded"}}
J
echo '{"id": "e3", "app": "pay", "branch": "main", "status": "failed"}' >failed.json
echo '{"id": "e4", "app": 5}' >wrong.json
echo '{"id": ' >broken.json

# usage
expect 64 'which command?' sluice
expect 64 'unknown command "chekc" (did you mean "check"?)' sluice chekc
expect 64 'did you mean --strict?' sluice check --stric
expect 64 'needs one more word: config show' sluice config
expect 64 'needs a value' sluice check -c
expect 0 'commands:' sluice help
expect 0 'commands:' sluice --help
expect 0 '--require-secrets' sluice help check
expect 0 '--require-secrets' sluice check --help
expect 0 'misspelled' sluice help SL-C02
expect 0 'SL-C02' sluice help codes
expect 0 'SLUICE_BATCH_SIZE' sluice help config
expect 0 'SLUICE_KAFKA_BROKERS' sluice help kafka.brokers
expect 64 'did you mean' sluice help explan

# version
expect 0 'librdkafka' sluice version
expect 0 'librdkafka' sluice --version
expect 0 '"libraries"' sluice version --json

# check
expect 0 'good.yaml ok: 2 targets, 1 limit, topic ci.succeeded, group sluice, 0 warnings' sluice check good.yaml
expect 0 'good.yaml ok' sluice -c good.yaml check
expect 0 'good.yaml ok' env SLUICE_CONFIG=good.yaml "$consumer" check
expect 78 'bad.yaml:1:15: error SL-C06: batch.size: "0" is out of range' sluice check bad.yaml
expect 78 'bad.yaml:1:18: error SL-C02: unknown key "max" in batch' sluice check bad.yaml
expect 78 'bad.yaml:3:12: error SL-C07: targets.t.url: the host may not come from an event' sluice check bad.yaml
expect 78 '3 errors, 0 warnings' sluice check bad.yaml
expect 78 '"line": 3' sluice check bad.yaml --json
expect 78 'good.yaml ok' sluice check good.yaml bad.yaml
expect 66 'missing.yaml: error SL-C00' sluice check -c missing.yaml
expect 66 'SLUICE_CONFIG' env SLUICE_CONFIG=missing.yaml "$consumer" check
expect 78 'no targets' sluice check
expect 78 '--set batch.size' sluice check good.yaml --set batch.size=0
expect 78 'did you mean "batch.size"?' sluice check good.yaml --set batch.siz=1
expect 78 'set kafka.group' sluice check good.yaml -X group.id=x
expect 78 'kafka.group: empty' sluice check good.yaml --set kafka.group=
expect 78 '--log-level' sluice check good.yaml --log-level loud
expect 0 'SLUICE_BATCH_SIZES: warning SL-C19' env SLUICE_BATCH_SIZES=1 "$consumer" check good.yaml
expect 78 'SLUICE_BATCH_SIZES: error SL-C19' env SLUICE_BATCH_SIZES=1 "$consumer" check good.yaml --strict
expect 78 'SLUICE_BATCH_SIZE: error SL-C05' env SLUICE_BATCH_SIZE=x "$consumer" check good.yaml
expect 78 'file token cannot be read' sluice check good.yaml --require-secrets
echo s3cret >token
expect 0 'ok' sluice check good.yaml --require-secrets

# config
for kind in http argocd github gitlab jenkins flux harness; do
    sluice config init --target $kind >init.yaml
    expect 0 '0 warnings' sluice check init.yaml --strict
done
expect 64 'argocd' sluice config init --target jenkinz
expect 0 'size: 5' sluice config show -c good.yaml
mv out shown.yaml
expect 0 'shown.yaml ok' sluice check shown.yaml
expect 0 '# env SLUICE_BATCH_SIZE' env SLUICE_BATCH_SIZE=9 "$consumer" config show -c good.yaml --origin
expect 0 '# good.yaml:1:25' sluice config show -c good.yaml --origin
expect 0 '# flag --set batch.age' sluice config show -c good.yaml --origin --set batch.age=1s
expect 0 '"size": 5' sluice config show -c good.yaml --json
expect 78 'SL-C06' sluice config show -c bad.yaml
expect 0 '••••••' sluice config show -c good.yaml --set redis.password=hunter2 -X sasl.password=hunter2
refute hunter2
expect 0 '2020-12' sluice config schema

# explain
expect 0 'https://cd.example.com/deploy/pay' sluice explain -c good.yaml event.json
expect 0 'Bearer ••••••' sluice explain -c good.yaml event.json
refute s3cret
expect 0 '{"revision":"3f9c2e1","n":1,"s":"1"}' sluice explain -c good.yaml event.json
expect 0 'branch=release/* ✗ (main)' sluice explain -c good.yaml event.json
expect 0 'idempotency-key: prod/e2' sluice explain -c good.yaml record.json
expect 0 "\"revision\":\"it'\\''s\"" sluice explain -c good.yaml record.json --curl
expect 0 '"$SLUICE_SECRET_TOKEN"' sluice explain -c good.yaml event.json --curl
expect 0 '"match": true' sluice explain -c good.yaml event.json --json
expect 0 'skipped (failure-event)' sluice explain -c good.yaml failed.json
expect 65 '/app' sluice explain -c good.yaml wrong.json
expect 65 'bad-json' sluice explain -c good.yaml broken.json
expect 65 '"outcome": "bad"' sluice explain -c good.yaml broken.json --json
expect 66 'nowhere.json' sluice explain -c good.yaml nowhere.json
expect 66 'missing.yaml' sluice explain -c missing.yaml event.json
expect 64 'which event?' sluice explain -c good.yaml
expect 0 '' sluice explain -c good.yaml event.json --expect prod
expect 1 'other: expected a match, found none' sluice explain -c good.yaml event.json --expect prod --expect other
expect 1 'prod: expected none, found a match' sluice explain -c good.yaml event.json --expect none
expect 1 'the event is skipped' sluice explain -c good.yaml failed.json --expect prod
expect 0 '' sluice explain -c good.yaml failed.json --expect none
expect 64 'there is no target "prd"' sluice explain -c good.yaml event.json --expect prd
expect 0 'prod' bash -c '"$0" explain -c good.yaml - <event.json' "$consumer"

# healthcheck: nobody there, nothing to ask
expect 69 '127.0.0.1:1/livez' sluice healthcheck --port 1
expect 69 '/readyz' sluice healthcheck --port 1 --ready
expect 64 'no port' sluice healthcheck --port x
expect 78 'off' sluice healthcheck -c good.yaml --set http.listen=off

# console: where it may not listen, whom it may not trust
expect 78 'console.listen' sluice console -c good.yaml --set console.listen=nowhere
expect 78 'not host:port' sluice console -c good.yaml --listen nowhere
expect 78 'set console.token_file' sluice console -c good.yaml --set console.read_only=false
expect 78 'No such file' sluice console -c good.yaml --token-file "$dir/none"
echo short > token
expect 78 '16 to 512 characters' sluice console -c good.yaml --token-file token
expect 78 'not an address of a host' sluice console -c good.yaml --listen no.such.host:8080

# with the producer beside us: what it prints is explained, and its mock answers for a worker
producer=$build/sluice-producer
if [ -x "$producer" ]; then
    "$producer" publish --print --app pay --repo acme/pay --commit 3f --branch main >printed.json 2>/dev/null
    expect 0 'https://cd.example.com/deploy/pay' sluice explain -c good.yaml printed.json --expect prod
    mock_start
    expect 0 '/livez: 202' sluice healthcheck --port "$port"
    printf 'http: {listen: "0.0.0.0:%s"}\n' "$port" | cat good.yaml - >listen.yaml
    expect 0 "127.0.0.1:$port/readyz: 202" sluice healthcheck -c listen.yaml --ready
    mock_stop
    mock_start --status 503
    expect 1 '/livez: 503' sluice healthcheck --port "$port"
    mock_stop
fi

# completion: what a shell would offer after these words
offered() {
    bash -c 'source <("$0" completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sluice_consumer; echo "=${COMPREPLY[*]}="' \
        "$consumer" sluice-consumer "$@"
}
expect 0 '=config console=' offered con
expect 0 '=show diff init schema=' offered config ''
expect 0 '=--origin=' offered config show --o
expect 0 '--strict' offered check --
expect 64 'bash, zsh or fish' sluice completion tcsh
expect 0 'complete -c sluice-consumer' sluice completion fish

# the manual: every command and every setting has its place, and roff has nothing to say
expect 0 '.SS "sluice\-consumer config show"' sluice manual
expect 0 'batch.size' sluice manual sluice.yaml
if command -v man >/dev/null; then
    expect 0 '' bash -c '"$0" manual >page && ! man --warnings -l page 2>&1 >/dev/null | grep .' "$consumer"
    expect 0 '' bash -c '"$0" manual sluice.yaml >page && ! man --warnings -l page 2>&1 >/dev/null | grep .' "$consumer"
fi

# what operators ask: what cannot be reached is said, with the next step
expect 69 'Redis does not answer' sluice trace -c good.yaml --set redis.url=redis://127.0.0.1:1 some-event
expect 64 'name one event' sluice trace -c good.yaml
expect 69 'Redis does not answer' sluice workflow -c good.yaml --set redis.url=redis://127.0.0.1:1 --set workflow.timeout=50ms an-app
expect 69 '"status": "timeout"' sluice workflow -c good.yaml --set redis.url=redis://127.0.0.1:1 --set workflow.timeout=50ms --json an-app
expect 64 'name one application' sluice workflow -c good.yaml
expect 69 'check kafka.brokers' sluice doctor -c good.yaml --timeout 300ms --set 'kafka.brokers=[127.0.0.1:1]' \
    --set redis.url=redis://127.0.0.1:1
expect 69 'Redis does not answer' sluice config diff -c good.yaml --set redis.url=redis://127.0.0.1:1
expect 0 'Kafka can' sluice version
expect 69 'SL-R01' sluice doctor -c good.yaml --timeout 300ms --set 'kafka.brokers=[127.0.0.1:1]' \
    --set redis.url=redis://127.0.0.1:1
expect 0 'belongs to whoever publishes' sluice help SL-K03
expect 0 'SL-T02' sluice help codes
expect 64 'expected 1ms to 60s' sluice doctor -c good.yaml --timeout never

# a full disk is an error, not a silence
[ -w /dev/full ] && expect 74 '' bash -c '"$0" help >/dev/full' "$consumer"

# dead letters: what is refused before anything is asked
expect 64 'expected a time such as 6h' sluice dlq list --since yesterday -c good.yaml
expect 64 '--group-by "colour": expected reason' sluice dlq list --group-by colour -c good.yaml
expect 64 'expected a rate such as 5/s' sluice dlq redrive --rate fast -c good.yaml
expect 64 'expected a number from 1' sluice dlq drop --max 0 -c good.yaml
expect 64 'which one?' sluice dlq show -c good.yaml
expect 0 'Go on with one that was stopped' sluice dlq redrive --help
expect 64 'from where on?' sluice replay -c good.yaml
expect 64 '--into "table": expected topic or group' sluice replay --since 2h --into table -c good.yaml
expect 64 'go with --into topic' sluice replay --since 2h --into group --target a -c good.yaml
expect 64 'exclude each other' sluice replay --since 2h --resend-delivered --skip-delivered -c good.yaml
expect 64 'expected a time such as 6h' sluice replay --from p3 -c good.yaml

# clusters: what is refused before anything is dialled
cat >clusters.yaml <<'Y'
targets: {t: {url: "http://127.0.0.1:1/x"}}
clusters: {east: {kubeconfig: kubeconfig}, far: {virtual: true}}
Y
cat >kubeconfig <<'Y'
current-context: a
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
contexts: [{name: a, context: {cluster: c, user: u}}]
users: [{name: u, user: {exec: {command: aws}}}]
Y
expect 64 'name an object' sluice kube get -c clusters.yaml
expect 64 'expected a number from 1 to 64' sluice kube get -c clusters.yaml --width 0 v1/Node/a
expect 64 'is no duration' sluice kube get -c clusters.yaml --timeout 5 v1/Node/a
expect 64 'expected yaml, json or name' sluice kube get -c clusters.yaml -o table v1/Node/a
expect 78 'no cluster is configured' sluice kube get -c good.yaml v1/Node/a
expect 78 'name one: east, far' sluice kube get -c clusters.yaml v1/Node/a
expect 78 'names no object' sluice kube get -c clusters.yaml --cluster east Node/a
expect 78 'user "u": exec runs a program' sluice kube get -c clusters.yaml east:v1/Node/a
expect 78 'it is virtual' sluice kube get -c clusters.yaml far:v1/Node/a
sed -i 's/exec: {command: aws}/token: s3cret/' kubeconfig
expect 69 'east:v1/Node/a: GET /api/v1/nodes/a: connect: ' sluice kube get -c clusters.yaml east:v1/Node/a
refute s3cret
expect 69 '"status": "unreachable"' sluice kube get -c clusters.yaml -o json east:v1/Node/a
expect 78 'no cluster is configured' sluice kube clusters -c good.yaml
expect 64 'expected 1ms to 60s' sluice kube clusters -c clusters.yaml --timeout 2m
expect 69 'unreachable' sluice kube clusters -c clusters.yaml
refute s3cret
expect 69 '"state": "virtual"' sluice kube clusters --json -c clusters.yaml
expect 64 'which application?' sluice kube status -c clusters.yaml --cluster east -n shop
expect 64 'is not group/version/Kind' sluice kube status -c clusters.yaml -l app=a --kinds Deployment
expect 78 'name one: east, far' sluice kube status -c clusters.yaml -l app=a
expect 78 'it is virtual' sluice kube status -c clusters.yaml -l app=a --cluster far
expect 69 'unknown: only 0 of ' sluice kube status -c clusters.yaml -l app=a --cluster east -n shop
expect 69 'Connection refused' sluice kube wake -c clusters.yaml -l app=a --cluster east -n shop --yes
expect 64 'which application?' sluice kube hibernate -c clusters.yaml --cluster east --yes
expect 69 'Redis does not answer' sluice kube wakings -c clusters.yaml --set redis.url=redis://127.0.0.1:1
expect 69 'SL-N01' sluice doctor -c clusters.yaml --timeout 300ms --set 'kafka.brokers=[127.0.0.1:1]' \
    --set redis.url=redis://127.0.0.1:1
expect 0 'system:public-info-viewer' sluice help SL-N02

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
