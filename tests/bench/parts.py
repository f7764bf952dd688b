"""What the fleet half of the bench is made of: a target in C, a topic full of events, one worker, and /proc."""
import json
import os
import subprocess
import time

from harness import checker
from harness.proc import Child, Failure, now, wait_for
from harness.worker import Worker

TICKS = os.sysconf("SC_CLK_TCK")
APPS = 10_000  # so many keys: units of one key wait for each other
POLL_S = 0.1


class Target:
    """build/bench/target: answers after delay_ms, counts what it took."""

    def __init__(self, build, folder, delay_ms):
        self.delay_ms, log = delay_ms, os.path.join(folder, f"target-{delay_ms}.log")
        open(log, "w").close()
        self.child = Child("target", [os.path.join(build, "bench", "target"), str(delay_ms), "2"], log,
                           stdin=subprocess.PIPE)
        said = wait_for(lambda: "\n" in self.child.log() and self.child.log().split(), 10, "the target's port", 0.01,
                        alive=[self.child])
        self.port = int(said[0])
        self.url = f"http://127.0.0.1:{self.port}/hook"

    def stop(self):
        """How many requests it took."""
        self.child.popen.stdin.close()
        self.child.wait(10)
        return int(self.child.log().split()[1])


def event(number):
    app = f"app-{number % APPS}"
    return {"id": f"bench-{number:07d}", "app": app, "repo": f"acme/{app}", "branch": "main",
            "commit": f"{number:040x}", "image": f"registry.example/acme/{app}:{number:07d}", "pipeline": "ci",
            "run": str(number), "run_url": f"https://ci.example/acme/{app}/runs/{number}",
            "time": "2026-01-01T00:00:00Z"}


def publish(build, kafka, topic, count):
    """By our own producer, so that its batch size holds. Returns events a second."""
    lines = "".join(json.dumps(event(n), separators=(",", ":")) + "\n" for n in range(count)).encode()
    began = now()
    out = subprocess.run([os.path.join(build, "sluice-producer"), "publish", "-", "--brokers", kafka.bootstrap,
                          "--topic", topic, "--quiet", "--no-ci"], input=lines, capture_output=True, timeout=120)
    if out.returncode != 0:
        raise Failure(f"publish: {out.stderr.decode(errors='replace')[-300:]}")
    return count / (now() - began)


class Process:
    """One sample of a process: when, and its CPU seconds."""

    def __init__(self, pid):
        self.at = time.monotonic()
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(") ", 1)[1].split()
        self.cpu_s = (int(fields[11]) + int(fields[12])) / TICKS


def memory_mb(pid):
    """(peak, now) resident, in MB of 2^20."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        rows = dict(line.split(":", 1) for line in f)
    return tuple(int(rows[name].split()[0]) / 1024 for name in ("VmHWM", "VmRSS"))


class Bench:
    """A broker, a Redis, and workers one after the other, each with a group of its own."""

    def __init__(self, build, folder, kafka, redis):
        self.build, self.folder, self.kafka, self.redis, self.runs = build, folder, kafka, redis, 0

    def topic(self, name, partitions, count):
        self.kafka.create_topic(name, partitions)
        return publish(self.build, self.kafka, name, count) if count else 0

    def worker(self, topic, url, **settings):
        """settings: batch, in_flight. Ledger and limiter are on; the limit is so high that it never binds."""
        self.runs += 1
        self.redis.ask("FLUSHALL")
        name = f"bench-{self.runs}"
        config = {
            "kafka": {"brokers": [self.kafka.bootstrap], "topic": topic, "group": name, "start": "earliest"},
            "redis": {"url": self.redis.url},
            "limits": {"never-binds": {"rate": "1000000/s", "burst": 100000}},
            "targets": {"t": {"url": url, "limits": ["never-binds"], "timeout": "10s"}},
            **settings,
        }
        return Worker(os.path.join(self.build, "sluice-consumer"), name, config, self.folder)

    def raw(self, target, width, requests):
        """{way: (calls/s, CPU us a call)} of libcurl by hand."""
        out = subprocess.run([os.path.join(self.build, "bench", "bench_http"), "raw", str(target.port), str(width),
                              str(requests)], capture_output=True, text=True, timeout=120)
        if out.returncode != 0:
            raise Failure(f"bench_http: {out.stderr[-300:]}")
        rows = [line.split() for line in out.stdout.splitlines()]
        return {row[0]: (float(row[1]), float(row[2])) for row in rows}

    def items(self):
        """{width: times the ideal} of 100 items of 50 ms."""
        out = subprocess.run([os.path.join(self.build, "bench", "bench_http"), "items"], capture_output=True, text=True,
                             timeout=60)
        if out.returncode != 0:
            raise Failure(f"bench_http: {out.stderr[-300:]}")
        return {int(line.split()[0]): float(line.split()[1]) for line in out.stdout.splitlines()}

    def objects(self):
        """{width: (seconds, requests, discovery), "late": (came, did not, ms)} of 100 objects of 50 ms."""
        out = subprocess.run([os.path.join(self.build, "bench", "bench_kube")], capture_output=True, text=True, timeout=60)
        if out.returncode != 0:
            raise Failure(f"bench_kube: {out.stderr[-300:]}")
        rows = [line.split() for line in out.stdout.splitlines()]
        found = {int(r[1]): (float(r[2]), int(r[3]), int(r[4])) for r in rows if r[0] == "width"}
        found["late"] = next((int(r[2]), int(r[3]), float(r[4])) for r in rows if r[0] == "late")
        return found



def total(worker, name, **labels):
    return checker.total(worker.metrics(), name, **labels)


def settle(worker, seconds=3):
    """Let it stand (fetch ahead, beat its heart) and see that it does."""
    time.sleep(seconds)
    if not worker.running():
        raise Failure(f"the worker ended: {worker.last_lines()}")


def wait_triggered(worker, count, timeout_s):
    """Returns how many units were triggered when it was at least count."""
    def enough():
        done = total(worker, "sluice_units_total", verdict="triggered")
        return done if done >= count else None
    return wait_for(enough, timeout_s, f"{count:.0f} triggers", POLL_S, alive=[worker])


def throughput(bench, topic, events, target, **settings):
    """Work a topic off. Returns (triggers/s, CPU us a trigger) over the middle of the run."""
    worker = bench.worker(topic, target.url, **settings)
    try:
        worker.wait_ready()
        first = wait_triggered(worker, events * 0.2, 60)
        begin = Process(worker.pid)
        last = wait_triggered(worker, events * 0.85, 60)
        end = Process(worker.pid)
        wait_triggered(worker, events, 60)
        worker.term()
        code = worker.wait(30)
        if code != 0:
            raise Failure(f"the worker ended with {code}: {worker.last_lines()}")
    finally:
        worker.kill()
    return (last - first) / (end.at - begin.at), (end.cpu_s - begin.cpu_s) * 1e6 / (last - first)
