"""Every unit is called exactly once while nothing breaks: steady, scaling, churning, in order."""
import random
import time

from harness import checker
from harness.proc import now
from harness.registry import scenario
from harness.stage import events

TWO = ("a", "b")


@scenario(brokers=("real", "mock"), timeout_s=150)
def steady(stage):
    """6 partitions, 3 consumers, events for 2 targets each: called once, lag 0, books balance, exit 0."""
    stage.set_up(targets=TWO, rules=[{"latency_ms": 5}])
    stage.fleet(3)
    stage.publish(events(2000 if stage.kafka.kind == "real" else 400))
    stage.wait_done(stage.units())
    stage.judge(lag_by_kafka=True)
    triggered = sum(w.verdicts("triggered") for w in stage.alive())
    stage.demand(triggered == len(stage.units()), f"{triggered} units say triggered, {len(stage.units())} were called")
    stage.stop_all()


@scenario(timeout_s=240)
def scaling(stage):
    """Consumers 1, 3, 5, 2, joining and leaving gracefully during the run: still exactly once."""
    stage.set_up(targets=TWO, rules=[{"latency_ms": 20}])
    stage.fleet(1)
    stream = stage.stream(events(20000), per_second=120)
    more_calls(stage, 300)
    stage.fleet(2, first=2)
    more_calls(stage, 300)
    stage.fleet(2, first=4)
    more_calls(stage, 300)
    for name in ("w1", "w4", "w2"):
        leave(stage, name)
        more_calls(stage, 100)
    stage.wait_group()
    more_calls(stage, 300)
    unsent = stream.cut()
    stage.note(f"{len(stage.units())} units, {unsent} events not needed")
    stage.wait_done(stage.units(), 90)
    stage.judge(lag_by_kafka=True)
    stage.stop_all()


@scenario(timeout_s=240)
def churn(stage):
    """A fourth consumer joins and leaves every 0.1 to 2.5 s for 15 s (the full minute: churn-for-a-minute)."""
    play_churn(stage, 15)


@scenario(timeout_s=400, long=True)
def churn_for_a_minute(stage):
    """A fourth consumer joins and leaves every 0.1 to 2.5 s for 60 s: still exactly once."""
    play_churn(stage, 60)


def play_churn(stage, seconds):
    stage.set_up(targets=TWO, rules=[{"latency_ms": 20}])
    stage.fleet(3)
    stream = stage.stream(events(50000), per_second=100)
    rng, ends, joins = random.Random(7), now() + seconds, 0
    while now() < ends:
        stage.worker("w4")
        time.sleep(rng.uniform(0.1, 2.5))
        leave(stage, "w4")
        time.sleep(rng.uniform(0.1, 1.0))
        joins += 1
    stream.cut()
    stage.note(f"{joins} joins, {len(stage.units())} units")
    stage.wait_done(stage.units(), 120)
    stage.judge(lag_by_kafka=True)
    stage.stop_all()


def leave(stage, name):
    stage.workers[name].term()
    code = stage.workers[name].wait(25)
    unborn = code == -15 and not stage.workers[name].log()  # told to end before it had begun
    stage.demand(code in (0, 75) or unborn, f"{name} left with {code}: {stage.workers[name].last_lines()}")


def more_calls(stage, count):
    stage.target.wait(60, calls=stage.target.calls() + count)


@scenario(brokers=("real", "mock"), timeout_s=120)
def order_per_key(stage):
    """Events of one app are called one after the other, in the order they were published, across batches."""
    stage.set_up(partitions=2, rules=[{"share": 0.3, "latency_ms": 60}, {"share": 0.5, "latency_ms": 15}])
    stage.fleet(2)
    batch = events(200)
    for number, e in enumerate(batch):
        e["app"] = f"app-{number % 7}"
    stage.publish(batch)
    stage.wait_done(stage.units())
    stage.judge()
    chains = [[f"a/{e['id']}" for e in batch if e["app"] == app] for app in sorted({e["app"] for e in batch})]
    faults = checker.judge_order(chains, stage.target.requests())
    stage.demand(not faults, "; ".join(faults[:3]))


@scenario(brokers=("real", "mock"), timeout_s=90)
def same_id_again(stage):
    """The same event published again, with a fresh time, is a duplicate: no second call."""
    stage.set_up(partitions=2)
    worker = stage.fleet(1)[0]
    batch = events(40)
    stage.publish(batch)
    stage.wait_done(stage.units())
    again = [dict(e, time="2026-01-01T00:00:00Z") for e in batch]
    stage.publish(again)
    stage.published = batch
    stage.wait_drained()
    stage.judge()
    stage.demand(worker.verdicts("duplicate") == 40, f"{worker.verdicts('duplicate')} duplicates instead of 40")
