"""How long `status` takes for a large fleet: heartbeats as 50 workers would write them, in a real Redis."""
import json
import os
import subprocess
import time

CONSUMERS, PARTITIONS, RUNS = 50, 500, 15
BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]


def spread():
    return {"bounds_s": BOUNDS, "counts": [n % 7 for n in range(len(BOUNDS) + 1)]}


def partition(number):
    return {"topic": "ci.succeeded", "partition": number, "source": True, "lag_events": 7, "lag_s": 1.5, "committed": 100,
            "end": 107, "in_per_s": 2.0, "out_per_s": 2.5,
            "batch": {"state": "barrier", "size": 50, "events": 50, "units": 50, "ended": 47, "for_ms": 3100,
                      "waiting": [{"target": "target-1", "units": 3, "oldest_ms": 90}]}}


def target(number):
    return {"name": f"target-{number}", "open_ms": None, "silent_ms": 0, "in_flight": 2, "triggered": 60, "none": 0,
            "c1xx": 0, "c2xx": 60, "c3xx": 0, "c4xx": 1, "c5xx": 2, "calls_per_s": 4.5, "took": spread(),
            "limits": ["deploys"]}


def beat(number):
    each = PARTITIONS // CONSUMERS
    return {"v": 1, "id": f"c-{number}", "boot": "00000000", "host": "h", "pid": 7, "version": "0.1.0", "revision": "r",
            "config_hash": "aa", "up_s": 60, "state": "running", "all_partitions": PARTITIONS,
            "partitions": [partition(number * each + i) for i in range(each)], "more_partitions": 0,
            "targets": [target(i) for i in range(4)], "more_targets": 0,
            "limits": [{"name": "deploys", "rate_per_s": 900, "burst": 900, "tokens": 14.0, "waited": spread()}],
            "lag_events": 7 * each, "deferred": 0, "in_per_s": 20.0, "out_per_s": 25.0, "in_flight": 8, "p95_ms": 150,
            "latency": spread()}


def measure(build, redis, folder):
    """Milliseconds of a whole `status --json`, from its start to its end."""
    config = os.path.join(folder, "fleet.yaml")
    with open(config, "w", encoding="ascii") as f:
        f.write(f"redis: {{url: \"{redis.url}\", prefix: bench}}\ntargets: {{a: {{url: \"http://127.0.0.1:9/\"}}}}\n")
    now = redis.ask("TIME")
    for number in range(CONSUMERS):
        redis.ask("HSET", "bench:ops:{sluice}:beats", f"c-{number}", json.dumps(beat(number), separators=(",", ":")))
        redis.ask("ZADD", "bench:ops:{sluice}:beat-times", str(int(now[0]) * 1000), f"c-{number}")
    command = [os.path.join(build, "sluice-consumer"), "status", "--json", "-c", config]
    times = []
    for _ in range(RUNS):
        began = time.monotonic()
        out = subprocess.run(command, capture_output=True, check=True)
        times.append((time.monotonic() - began) * 1000)
    frame = json.loads(out.stdout)
    if len(frame["consumers"]) != CONSUMERS or len(frame["partitions"]) != PARTITIONS:
        raise RuntimeError(f"{len(frame['consumers'])} consumers, {len(frame['partitions'])} partitions were shown")
    return min(times)  # what else the machine does only adds
