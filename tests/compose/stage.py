"""What the scenarios play on: the running project, a load of events, the target's own log, and the questions at the end."""
import json
import os
import subprocess
import time

import yaml

from harness import checker
from harness.kafka_client import KafkaClient
from harness.proc import Child, Failure, wait_for
from harness.target_client import Request

from engine import docker

PARTITIONS = 6
RATE, BURST, GRANT_LIFE_S = 40, 20, 1.0
TOPIC, GROUP, TARGET = "ci.succeeded", "sluice", "deploy"
RECORDED_MS = 100  # an answer is in the ledger by then


def write_config(source, path):
    """The project's own configuration, with a limit low enough to be met and workers that sign their calls."""
    with open(source, encoding="utf-8") as f:
        config = yaml.safe_load(f)
    config["limits"] = {name: {"rate": f"{RATE}/s", "burst": BURST} for name in config["limits"]}
    config["retry"] = {"delays": ["1s", "2s", "4s"]}
    config["secrets"]["worker"] = {"env": "HOSTNAME"}
    for target in config["targets"].values():
        del target["match"]  # every event is for it
        target["headers"]["x-worker"] = "${secret.worker}"
    with open(path, "w", encoding="utf-8") as f:
        yaml.safe_dump(config, f)
    if (config["kafka"]["topic"], config["kafka"]["group"], list(config["targets"])) != (TOPIC, GROUP, [TARGET]):
        raise Failure(f"{source} has another topic, group or target than this check knows")


class Stage:
    """One scenario: its events carry its name, so each is judged on its own."""

    def __init__(self, project, producer, folder, kafka_port, name):
        self.project, self.producer, self.folder, self.name = project, producer, folder, name
        self.bootstrap = f"127.0.0.1:{kafka_port}"
        self.kafka = KafkaClient("127.0.0.1", kafka_port)
        self.excuses, self.notes, self.load, self.acknowledged = [], [], None, 0

    # --- events in, calls out ---

    def start_load(self, per_second=25):
        command = [self.producer, "simulate", "--rate", f"{per_second}/s", "--run-id", self.name, "--seed", "1",
                   "--timeout", "60s", "--json", "-q", "-b", self.bootstrap, "-t", TOPIC]
        self.load = Child("simulate", command, os.path.join(self.folder, f"load-{self.name}.log"))

    def cut_load(self):
        """Publish no more; every event must have been acknowledged."""
        self.load.term()
        code = self.load.wait(90)
        demand(code == 0, f"the load ended with {code}: {self.load.last_lines()}")
        self.acknowledged = json.loads(self.load.log().splitlines()[-1])["acked"]

    def published(self):
        """[event id] of this scenario, as they stand in the topic."""
        command = ["kcat", "-q", "-C", "-e", "-b", self.bootstrap, "-t", TOPIC, "-o", "beginning", "-f", "%s\n"]
        out = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
        ids = [json.loads(line)["id"] for line in out.splitlines()]
        return [i for i in ids if i.startswith(f"sim-{self.name}-")]

    def requests(self, everything=False):
        """Calls as the target wrote them down; of this scenario's events only, unless everything."""
        rows = []
        with open(os.path.join(self.folder, "log", "calls.jsonl"), encoding="utf-8") as f:
            for line in f:
                if line.endswith("\n"):
                    c = json.loads(line)
                    answer = c["status"] if c["act"] == "answer" else c["act"]
                    rows.append(Request(c["t_ns"], c["t_ns"] + c["latency_us"] * 1000, c["path"], c["key"],
                                        c.get("header", ""), c["attempt"], answer, ""))
        return [r for r in rows if everything or r.key.startswith(f"{TARGET}/sim-{self.name}-")]

    def wait_calls(self, count, timeout_s=60):
        wait_for(lambda: len(self.requests()) >= count, timeout_s, f"{count} calls at the target", pause_s=0.2)

    def more_calls(self, count, timeout_s=60):
        self.wait_calls(len(self.requests()) + count, timeout_s)

    # --- the fleet ---

    def members(self):
        """{container id: partitions it has}, None while the group is in motion."""
        try:
            state, members = self.kafka.group(GROUP)
        except ConnectionError:
            return None
        mine = {}
        for client, parts in members.items():
            mine[client.split("-")[1]] = [p for t, p in parts if t == TOPIC]
        return mine if state == "Stable" else None

    def wait_members(self, count, timeout_s=60):
        """Until that many share all partitions, and they are the containers that run."""
        def shared():
            members = self.members()
            running = {i[:12] for i in self.project.ids("consumer")}
            return (members is not None and set(members) == running and len(running) == count
                    and sorted(p for parts in members.values() for p in parts) == list(range(PARTITIONS)))
        wait_for(shared, timeout_s, f"{count} consumers to share the topic", pause_s=0.3)

    def scale(self, count):
        self.project.compose("up", "-d", "--no-deps", "--scale", f"consumer={count}", "consumer")
        self.wait_members(count)

    def kill_one(self):
        """SIGKILL to the consumer with the most calls of the last seconds: how many it had open."""
        recent = [r for r in self.requests() if r.arrived_ns > time.monotonic_ns() - 3_000 * checker.MS]
        running = {i[:12] for i in self.project.ids("consumer")}
        busy = [r.worker for r in recent if r.worker in running]
        victim = max(sorted(running), key=busy.count)
        before = time.monotonic_ns()
        docker("kill", "--signal", "KILL", victim)
        after = time.monotonic_ns()
        self.excuses.append(checker.Excuse(victim, before - RECORDED_MS * checker.MS, after, "killed"))
        return victim

    def lives(self):
        """{container: when it began to run}: what restarts nobody asked for would change."""
        return {c["Id"][:12]: (c["State"]["StartedAt"], c["RestartCount"]) for c in self.project.inspect("consumer")}

    # --- the end ---

    def silence_s(self, after_ns):
        """(the longest time without a call, the time from after_ns to the first call that followed)."""
        times = sorted(r.arrived_ns for r in self.requests())
        longest = max((b - a for a, b in zip(times, times[1:])), default=0)
        return longest / 1e9, (next(t for t in times if t >= after_ns) - after_ns) / 1e9

    def lag(self):
        """Records of the source, retry and dead-letter topics that nobody settled; None while the broker is away."""
        try:
            total = 0
            for topic, partitions in self.kafka.partitions().items():
                if topic == TOPIC or topic.startswith(f"{TOPIC}.{GROUP}.retry."):
                    ends = self.kafka.ends(topic, partitions)
                    done = self.kafka.committed(GROUP, topic, partitions)
                    total += sum(ends[p] - max(done[p], 0) for p in ends)
            return total
        except ConnectionError:
            return None

    def dead(self):
        try:
            return sum(self.kafka.ends(f"{TOPIC}.{GROUP}.dlq", 1).values())
        except ConnectionError:
            return None

    def judge(self, excused_max, timeout_s=90):
        """Nothing lost, doubles explained and at most so many, the limit held, nobody restarted by itself."""
        wait_for(lambda: self.lag() == 0, timeout_s, "all to be worked and committed", pause_s=0.5)
        ids, requests = set(self.published()), self.requests()
        demand(len(ids) == self.acknowledged, f"{len(ids)} events in the topic, {self.acknowledged} were acknowledged")
        units = sorted(f"{TARGET}/{i}" for i in ids)
        verdict = checker.judge_calls(units, requests, (), self.excuses)
        faults = verdict.faults() or ([f"{self.dead()} dead letters"] if self.dead() else [])
        demand(not faults, f"{'; '.join(faults[:3])} ({len(faults)} faults)")
        demand(units, "nothing was published")
        demand(len(verdict.excused) <= excused_max,
               f"{len(verdict.excused)} units called twice, {excused_max} can be explained: {verdict.excused[:3]}")
        times = [r.arrived_ns for r in self.requests(everything=True)]
        excess = checker.rate_excess(times, RATE, BURST, GRANT_LIFE_S)
        demand(excess <= 0, f"the worst window has {excess:.1f} calls more than {BURST} + {RATE} * (T + {GRANT_LIFE_S:g} s)")
        self.notes.append(f"{len(units)} events, {len(requests)} calls, {len(verdict.excused)} called twice")
        return excess


def demand(fact, sentence):
    if not fact:
        raise Failure(sentence)
