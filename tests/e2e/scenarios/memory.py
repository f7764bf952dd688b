"""A backlog of any size stays in the broker: resident memory keeps to the bound that is said at the start."""
import json
import re

from harness.proc import now, wait_for
from harness.registry import scenario
from harness.stage import event


def fill(stage, count, pad):
    """count events with so much text in each, in many partitions, without keeping them here."""
    path = f"{stage.folder}/backlog"
    with open(path, "w", encoding="ascii") as f:
        for n in range(count):
            f.write(f"k{n}\t{json.dumps(event(n, x=pad))}\n")
    stage.kcat("-P", "-t", stage.topic, "-K", "\t", "-X", "batch.size=65536", "-X", "message.max.bytes=2000000",
               "-l", path)


def stays_within_its_bound(stage, seconds):
    worker = stage.worker("w1")
    worker.wait_log('"memory bound"', 30)
    bound = int(re.search(r'"at_most_mib":(\d+)', worker.log()).group(1)) * 1.048576
    worker.wait_ready()
    ends, highest = now() + seconds, 0
    stage.target.wait(40, calls=20)

    def looked():
        nonlocal highest
        highest = max(highest, stage.resident_mb(worker))
        return now() > ends
    wait_for(looked, seconds + 5, "the memory to settle", 0.1, alive=[worker])
    stage.note(f"at most {highest:.0f} MB resident, the bound is {bound:.0f} MB")
    stage.demand(highest < bound, f"{highest:.0f} MB resident, the bound is {bound:.0f} MB")
    stage.demand(stage.target.calls() > 100, f"only {stage.target.calls()} calls")


@scenario(timeout_s=240, long=True)
def small_records(stage):
    """300,000 records of 1 KB in 64 partitions, a slow target."""
    stage.set_up(partitions=64, rules=[{"latency_ms": 200}])
    fill(stage, 300_000, "x" * 750)
    stays_within_its_bound(stage, 25)


@scenario(timeout_s=240, long=True)
def large_records(stage):
    """600 records of 500 KB in 64 partitions, a slow target."""
    stage.set_up(partitions=64, rules=[{"latency_ms": 200}])
    fill(stage, 600, "x" * 500_000)
    stays_within_its_bound(stage, 20)
