#!/bin/bash
# Run unit test programs, several at a time: a line each, the whole output of one that fails, a sum at
# the end. Most of them wait more than they compute.
# Under SAN=tsan, programs that contain librdkafka are left out (its C11 threads are unknown to ThreadSanitizer).
# VERBOSE=1 shows every program's output; UNIT_JOBS=1 runs one after the other.
set -u
limit_s=${UNIT_TIMEOUT:-120}
jobs=${UNIT_JOBS:-$(($(nproc) * 4))}
results=$(mktemp -d) || exit 1
trap 'rm -rf "$results"' EXIT

# Its line and, where it matters, its output go to standard output in one piece; "passed failed skipped" into a file.
run() {
    local program=$1 name out rc ok bad began took
    name=$(basename "$program")
    out=$results/$name.out
    if [ "${SAN:-}" = tsan ] && nm -D "$program" 2>/dev/null | grep -q ' rd_kafka_new$'; then
        printf 'skip  %-28s contains librdkafka, which ThreadSanitizer cannot follow\n' "$name"
        echo 0 0 1 >"$results/$name.sum"
        return
    fi
    began=$(date +%s%N)
    timeout -k 5 "$limit_s" "$program" >"$out" 2>&1 </dev/null
    rc=$?
    took=$((($(date +%s%N) - began) / 1000000))
    ok=$(grep -c '^\[       OK \]' "$out")
    # cmocka names a failed test twice: when it fails and in the sum
    bad=$(grep '^\[  FAILED  \] [a-z0-9_]*$' "$out" | sort -u | wc -l)
    if [ $rc = 0 ] && [ "$ok" -gt 0 ]; then
        printf 'ok    %-28s %3d tests %6d ms\n' "$name" "$ok" "$took" >"$out.line"
        [ "${VERBOSE:-0}" = 0 ] && : >"$out"
    else
        [ "$bad" -gt 0 ] || bad=1
        printf 'FAIL  %-28s exit %d after %d ms\n' "$name" $rc "$took" >"$out.line"
    fi
    echo "$ok $bad 0" >"$results/$name.sum"
    flock "$results" cat "$out.line" "$out"
}

for program in "$@"; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
        wait -n
    done
    run "$program" &
done
wait

passed=0 failed=0 skipped=0
for program in "$@"; do
    read -r ok bad left <"$results/$(basename "$program").sum" || { ok=0 bad=1 left=0; }
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + left))
done
echo "unit: $((passed + failed)) tests of $# programs${SAN:+ (SAN=$SAN)}"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
