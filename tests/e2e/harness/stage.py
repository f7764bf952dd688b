"""What one scenario plays on: a broker, topics, a Redis, a target, workers, and the questions asked at the end."""
import json
import os
import subprocess
import threading
import time

from . import checker
from .config import merge
from .proc import Failure, MockStuck, now, wait_for
from .redis import RedisServer
from .target_client import Target
from .worker import Worker

DELAYS = ["1s", "2s", "4s"]
RETRY_PARTITIONS = 3
IN_SOCKETS_MS = 100  # how late a target may read what was written before something died
# The mock cluster makes every rebalance last a session minus a second.
MOCK_SESSION = {"session.timeout.ms": 3000, "heartbeat.interval.ms": 500}


def event(number, app=None, **fields):
    """Sluice's flat JSON; the deploy fields follow the number."""
    app = app or f"app-{number % 40}"
    body = {"id": f"e-{number:05d}", "app": app, "repo": f"acme/{app}", "branch": "main", "commit": f"{number:040x}",
            "image": f"registry.local/{app}:{number}", "pipeline": "ci", "run": str(number)}
    return {**body, **fields}


def events(count, first=0, **fields):
    return [event(n, **fields) for n in range(first, first + count)]


class Stage:
    def __init__(self, name, folder, programs, broker, options):
        self.name, self.folder, self.programs, self.kafka, self.options = name, folder, programs, broker, options
        self.consumer = os.path.join(programs, "sluice-consumer")
        self.producer = os.path.join(programs, "sluice-producer")
        self.workers, self.closing, self.partitions = {}, [], 0
        self.redis = self.target = None
        self.group = f"fleet-{os.path.basename(folder)}"  # its own: members that were killed linger on the broker
        self.topic = f"ci.{os.path.basename(folder)}"
        self.changes, self.published, self.excuses = {}, [], []
        os.makedirs(folder, exist_ok=True)

    # --- setting the scene ---

    def set_up(self, partitions=6, targets=("a",), rules=(), redis=None, changes=None, delays=DELAYS, topics=True):
        """redis: options of RedisServer. changes: what the workers' configuration says differently."""
        self.partitions, self.target_names, self.delays = partitions, targets, delays
        self.redis = self.also(RedisServer(os.path.join(self.folder, "redis"), **(redis or {})))
        self.target = self.also(Target(os.path.join(self.folder, "target"), rules))
        self.changes = changes or {}
        self.retry_topics = [f"{self.topic}.{self.group}.retry.{d}" for d in delays]
        self.dead_topic = f"{self.topic}.{self.group}.dlq"
        if self.kafka and topics:
            self.make_topics()
        return self

    def make_topics(self):
        self.kafka.create_topic(self.topic, self.partitions)
        for topic in self.retry_topics:
            self.kafka.create_topic(topic, RETRY_PARTITIONS, **{"message.timestamp.type": "LogAppendTime"})
        self.kafka.create_topic(self.dead_topic, 1)

    def also(self, part):
        """Stop it when the scenario ends."""
        self.closing.append(part.stop)
        return part

    def close(self):
        for worker in self.workers.values():
            worker.thaw()
            worker.kill()
        for stop in reversed(self.closing):
            stop()

    def config(self, worker, **changes):
        def target(name):
            return {"url": f"{self.target.url}/{name}/${{event.app}}", "headers": {"x-worker": worker},
                    "body": {"revision": "${event.commit}"}, "timeout": "5s"}
        properties = MOCK_SESSION if self.kafka.kind == "mock" else {}
        base = {
            "kafka": {"brokers": [self.kafka.bootstrap], "topic": self.topic, "group": self.group, "start": "earliest",
                      "client_id": worker, "properties": properties},
            "batch": {"size": 5, "age": "100ms"},
            "redis": {"url": self.redis.url},
            "retry": {"delays": list(self.delays)},
            "targets": {name: target(name) for name in self.target_names},
        }
        return merge(merge(base, self.changes), changes)

    def worker(self, name, **changes):
        """Start one; does not wait."""
        self.workers[name] = Worker(self.consumer, name, self.config(name, **changes), self.folder)
        return self.workers[name]

    def fleet(self, count, first=1, **changes):
        """Start workers w1, w2, ... and wait until they share the topic."""
        started = [self.worker(f"w{i}", **changes) for i in range(first, first + count)]
        self.wait_group(started=started)
        return started

    def alive(self):
        return [w for w in self.workers.values() if w.running()]

    def wait_group(self, timeout_s=60, started=()):
        """Until exactly the running workers share all partitions of the source topic."""
        self.demand_running(started)
        if self.kafka.kind == "mock":
            self.wait_mock_group()
        else:
            self.wait_members(sorted(w.name for w in self.alive()), timeout_s)
        self.demand_running(started)  # with nobody there nobody is missed

    def demand_running(self, workers):
        for worker in workers:
            self.demand(worker.running(), f"{worker.name} ended with {worker.exit_code()}: {worker.last_lines()}")

    def wait_mock_group(self, timeout_s=25):
        """The mock cluster of librdkafka 2.0.2 now and then loses a member's join when several begin at once."""
        try:
            wait_for(lambda: all(w.ready() for w in self.alive()), timeout_s, "all workers to be ready",
                     alive=self.alive())
        except Failure as e:
            if not any('"msg":"assigned"' in w.log() for w in self.workers.values()):
                raise MockStuck(f"the mock cluster formed no group in {timeout_s} s") from e
            raise

    def wait_members(self, names, timeout_s):
        """Until exactly these share all partitions of the source topic, as a real broker sees it."""
        def shared():
            state, members = self.quietly(lambda: self.kafka.client.group(self.group)) or ("", {})
            mine = [p for parts in members.values() for t, p in parts if t == self.topic]
            return state == "Stable" and sorted(members) == names and sorted(mine) == list(range(self.partitions))
        wait_for(shared, timeout_s, f"the group to be {', '.join(names)}", alive=self.alive())

    @staticmethod
    def quietly(ask):
        """What ask() says, None while the broker does not answer."""
        try:
            return ask()
        except ConnectionError:
            return None

    # --- events in, by kcat ---

    def publish(self, batch, topic=None, options=()):
        """All at once; each event's key is its app."""
        self.published += batch
        text = "".join(f"{e['app']}\t{json.dumps(e)}\n" for e in batch)
        self.kcat("-P", "-t", topic or self.topic, "-K", "\t", *options, stdin=text.encode())

    def stream(self, events, per_second):
        """A kcat that publishes at a pace while the scenario goes on; cut() or finish() it."""
        return self.also(Stream(self, events, per_second))

    def kcat(self, *arguments, stdin=None):
        out = subprocess.run(["kcat", "-q", "-b", self.kafka.bootstrap, *arguments], input=stdin, capture_output=True,
                             timeout=120)
        if out.returncode != 0:
            raise Failure(f"kcat {' '.join(arguments[:4])}: {out.stderr.decode(errors='replace')[-300:]}")
        return out.stdout

    def records(self, topic):
        """All records of a topic: dicts of kcat's -J, with headers as a dict."""
        out = self.kcat("-C", "-t", topic, "-o", "beginning", "-e", "-J").decode(errors="replace")
        rows = [json.loads(line) for line in out.splitlines()]
        for row in rows:
            names = row.get("headers") or []
            row["headers"] = dict(zip(names[::2], names[1::2]))
        return rows

    # --- questions ---

    def units(self, of=None):
        return [f"{t}/{e['id']}" for e in (self.published if of is None else of) for t in self.target_names]

    def lag(self):
        """Records of the source topic that are not committed; None while the broker does not answer."""
        def ask():
            ends = self.kafka.client.ends(self.topic, self.partitions)
            done = self.kafka.client.committed(self.group, self.topic, self.partitions)
            begins = self.kafka.client.begins(self.topic, self.partitions)
            return sum(ends[p] - (done[p] if done[p] >= 0 else begins[p]) for p in ends)
        return self.quietly(ask)

    def wait_drained(self, timeout_s=120, pause_s=0.2):
        wait_for(lambda: self.lag() == 0, timeout_s, "the source topic to be worked and committed", pause_s,
                 alive=self.alive())

    def wait_done(self, units, timeout_s=60):
        """Until the target has done all these units."""
        missing = set(units)

        def done():
            missing.difference_update(checker.done_calls(self.target.requests()))
            return not missing
        try:
            wait_for(done, timeout_s, "", pause_s=0.2, alive=self.alive())
        except Failure as e:
            if str(e).startswith("waited"):
                raise Failure(f"{len(missing)} units were not called within {timeout_s} s: {sorted(missing)[:3]}") from e
            raise

    def dead(self):
        """{unit: record} of the dead-letter topic."""
        return {f"{r['headers'].get('sluice-target')}/{r['headers'].get('sluice-event-id')}": r
                for r in self.records(self.dead_topic)}

    def excuse(self, worker, why, before_ms=100, after_ms=0, until_ns=None):
        """From now on, calls of this worker (None: anyone) that are open or just answered may happen again; until after_ms,
        also what had been written to a socket, or was on its way there, and the target reads a moment later."""
        t = time.monotonic_ns()
        end_ns = until_ns or t + after_ms * checker.MS
        self.excuses.append(checker.Excuse(worker, t - before_ms * checker.MS, end_ns, why))

    def open_calls(self, worker):
        """Units with a call of this worker that the target has not answered yet."""
        return {r.key for r in self.target.requests() if r.worker == worker and not r.answered_ns}

    def judge(self, excused_max=0, dead=(), units=None, lag_by_kafka=False):
        """Every unit called exactly once or dead; at most so many twice with an excuse; books and offsets agree."""
        verdict = checker.judge_calls(self.units() if units is None else units, self.target.requests(), dead,
                                      self.excuses)
        self.demand(not verdict.faults(), "; ".join(verdict.faults()[:5]) + f" ({len(verdict.faults())} faults)")
        self.demand(len(verdict.excused) <= excused_max,
                    f"{len(verdict.excused)} units called twice, {excused_max} are allowed: {verdict.excused[:5]}")
        self.wait_drained()
        self.judge_books()
        if lag_by_kafka and self.kafka.kind == "real":
            lags = {k: v for k, v in self.kafka.group_lag(self.group).items() if k[0] == self.topic}
            self.demand(len(lags) == self.partitions and not any(lags.values()), f"Kafka's own tool says lag {lags}")
        return verdict

    def judge_books(self):
        """At a quiet moment: a read in between is a moment that was not quiet, so ask until they balance."""
        for worker in self.alive():
            faults = []

            def balanced(worker=worker, faults=faults):
                faults[:] = checker.judge_books(worker.metrics())
                return not faults
            try:
                wait_for(balanced, 10, "the books to balance")
            except Failure:
                raise Failure(f"{worker.name}: {'; '.join(faults[:3])}") from None

    def stop_all(self, codes=(0,), within_s=25):
        """SIGTERM to all; each gone in time, with one of these codes."""
        began = now()
        workers = self.alive()
        for worker in workers:
            worker.term()
        for worker in workers:
            code = worker.wait(max(0.1, began + within_s - now()))
            self.demand(code in codes, f"{worker.name} ended with {code}, not {codes}: {worker.last_lines()}")
        return now() - began

    @staticmethod
    def resident_mb(child):
        with open(f"/proc/{child.pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    @staticmethod
    def demand(fact, sentence):
        if not fact:
            raise Failure(sentence)

    def note(self, text):
        self.options.notes.append(text)


class Stream:
    """kcat reading from a pipe that a thread fills at a pace, until there are no more events or it is cut."""

    def __init__(self, stage, batch, per_second):
        self.stage, self.batch, self.per_second, self.sent = stage, batch, per_second, 0
        self.cut_now = threading.Event()
        self.process = subprocess.Popen(["kcat", "-q", "-b", stage.kafka.bootstrap, "-P", "-t", stage.topic, "-K", "\t",
                                         "-X", "linger.ms=5"], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        self.thread = threading.Thread(target=self._fill, daemon=True)
        self.thread.start()

    def _fill(self):
        began = now()
        while self.sent < len(self.batch) and not self.cut_now.wait(0.02):
            due = min(len(self.batch), int((now() - began) * self.per_second))
            for e in self.batch[self.sent:due]:
                self.process.stdin.write(f"{e['app']}\t{json.dumps(e)}\n".encode())
            self.process.stdin.flush()
            self.sent = due

    def cut(self):
        """Publish no more; returns when the broker has acknowledged what was sent: how many were not."""
        self.cut_now.set()
        return self.finish()

    def finish(self):
        self.thread.join()
        _, errors = self.process.communicate(timeout=60)
        if self.process.returncode != 0 or errors:
            raise Failure(f"kcat: {errors.decode(errors='replace')[-300:]}")
        self.stage.published += self.batch[:self.sent]
        return len(self.batch) - self.sent

    def stop(self):
        self.cut_now.set()
        self.process.kill()
        self.process.wait()
