#!/bin/bash
# Run unit test programs one after the other: a line each, the whole output of one that fails, a sum at the end.
# Under SAN=tsan, programs that contain librdkafka are left out (its C11 threads are unknown to ThreadSanitizer).
# VERBOSE=1 shows every program's output.
set -u
limit_s=${UNIT_TIMEOUT:-120}
passed=0 failed=0 skipped=0
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT

for program in "$@"; do
    name=$(basename "$program")
    if [ "${SAN:-}" = tsan ] && nm -D "$program" 2>/dev/null | grep -q ' rd_kafka_new$'; then
        printf 'skip  %-28s contains librdkafka, which ThreadSanitizer cannot follow\n' "$name"
        skipped=$((skipped + 1))
        continue
    fi
    began=$(date +%s%N)
    timeout -k 5 "$limit_s" "$program" >"$out" 2>&1 </dev/null
    rc=$?
    took=$((($(date +%s%N) - began) / 1000000))
    ok=$(grep -c '^\[       OK \]' "$out")
    # cmocka names a failed test twice: when it fails and in the sum
    bad=$(grep '^\[  FAILED  \] [a-z0-9_]*$' "$out" | sort -u | wc -l)
    if [ $rc = 0 ] && [ "$ok" -gt 0 ]; then
        printf 'ok    %-28s %3d tests %6d ms\n' "$name" "$ok" "$took"
        [ "${VERBOSE:-0}" = 0 ] || cat "$out"
    else
        [ "$bad" -gt 0 ] || bad=1
        printf 'FAIL  %-28s exit %d after %d ms\n' "$name" $rc "$took"
        cat "$out"
    fi
    passed=$((passed + ok))
    failed=$((failed + bad))
done
echo "unit: $((passed + failed)) tests of $# programs${SAN:+ (SAN=$SAN)}"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
