"""Members that come, go, freeze and are slow while calls are open: nothing lost, nothing called twice."""
import random
import time

from harness.offset_watch import OffsetWatch
from harness.proc import now, wait_for
from harness.registry import scenario
from harness.stage import events

QUICK = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}


def ended_well(stage, watch=None, timeout_s=60, **judge):
    stage.wait_done(stage.units(), timeout_s)
    verdict = stage.judge(lag_by_kafka=True, **judge)
    faults = watch.faults() if watch else []
    stage.demand(not faults, f"{faults[:3]} ({len(faults)} faults)")
    if watch:
        stage.note(f"{len(watch.samples)} looks at the offsets")
    return verdict


@scenario(timeout_s=120)
def storm(stage):
    """Two members join and leave every 50 to 500 ms, a third freezes for up to 2 s: exactly once."""
    stage.set_up(targets=("a", "b"), rules=[{"latency_ms": 30}])
    stage.fleet(2)
    watch = OffsetWatch(stage)
    stream = stage.stream(events(50000), per_second=80)
    rng, ends, rounds = random.Random(11), now() + 6, 0
    while now() < ends:
        for name in ("w3", "w4"):
            stage.worker(name)
            time.sleep(rng.uniform(0.05, 0.5))
        stage.workers["w1"].freeze()
        time.sleep(rng.uniform(0.05, 2))
        stage.workers["w1"].thaw()
        for name in ("w3", "w4"):
            stage.workers[name].term()
            time.sleep(rng.uniform(0.05, 0.5))
        for name in ("w3", "w4"):
            stage.workers[name].wait(25)
        rounds += 1
    stream.cut()
    stage.note(f"{rounds} rounds, {len(stage.units())} units")
    ended_well(stage, watch)
    stage.stop_all()


@scenario(timeout_s=90)
def calls_longer_than_the_drain(stage):
    """A second member joins while calls are open that last longer than revoke.drain: they end without the partition, exactly once."""
    stage.set_up(partitions=4, rules=[{"share": 0.2, "latency_ms": 4000}, {"latency_ms": 50}],
                 changes={"revoke": {"drain": "500ms"}, "targets": {"a": {"timeout": "8s"}}})
    stage.fleet(1)
    watch = OffsetWatch(stage)
    stage.publish(events(60))
    stage.target.wait(30, open_calls=4)
    stage.fleet(1, first=2)
    stage.target.wait(30, open_calls=2)
    stage.fleet(1, first=3)
    ended_well(stage, watch)
    stage.stop_all()


@scenario(timeout_s=90)
def partition_comes_back_while_its_orphan_runs(stage):
    """The member that joins goes again at once: the first has its partitions back while calls of before are open."""
    stage.set_up(partitions=2, rules=[{"attempts": [1, 1], "latency_ms": 6000}],
                 changes={"revoke": {"drain": "300ms"}, "targets": {"a": {"timeout": "10s"}}, "batch": {"size": 2}})
    worker = stage.fleet(1)[0]
    watch = OffsetWatch(stage)
    stage.publish(events(6))
    stage.target.wait(30, open_calls=4)
    stage.fleet(1, first=2)
    stage.demand("still open after the revoke" in worker.log(), "no call was left open")
    stage.workers["w2"].term()
    stage.workers["w2"].wait(25)
    stage.wait_group()
    stage.demand(stage.target.open(), "no call is open any more")
    ended_well(stage, watch, 80)
    stage.stop_all()


@scenario(timeout_s=90)
def revoke_while_parking_fails(stage):
    """The dead-letter topic is gone, a lane holds in parking, a member joins and makes it: given back, then parked."""
    stage.set_up(partitions=2, rules=[{"key": "e-00003", "status": 400}])
    worker = stage.fleet(1)[0]
    watch = OffsetWatch(stage)
    stage.kafka.client.delete_topic(stage.dead_topic)
    wait_for(lambda: stage.dead_topic not in stage.kafka.client.partitions(), 20, "the topic to be gone")
    stage.publish(events(10))
    worker.wait_log('"msg":"trigger failed"', 20)
    time.sleep(0.5)  # into parking
    stage.fleet(1, first=2)  # which makes the topic
    stage.wait_done(stage.units([e for e in stage.published if e["id"] != "e-00003"]), 40)
    stage.wait_drained(40)
    stage.judge(dead=stage.dead())
    faults = watch.faults()
    stage.demand(not faults, f"{faults[:3]}")
    stage.stop_all()


@scenario(timeout_s=90)
def revoke_while_redis_hangs(stage):
    """Redis hangs with calls open, a member joins, Redis is back: exactly once."""
    stage.set_up(partitions=4, rules=[{"latency_ms": 1000}], changes={"targets": {"a": {"timeout": "3s"}}})
    stage.fleet(1)
    watch = OffsetWatch(stage)
    stage.publish(events(80))
    stage.target.wait(30, open_calls=8)
    stage.redis.child.freeze()
    stage.worker("w2")
    time.sleep(6)  # the outage, longer than drain and commit
    stage.redis.child.thaw()
    ended_well(stage, watch)
    stage.stop_all()


@scenario(timeout_s=90, alone=True, long=True)
def broker_hangs_past_the_session_with_calls_open(stage):
    """The broker hangs for longer than the session while calls are open: what they did is known afterwards, nothing twice."""
    stage.set_up(partitions=4, rules=[{"latency_ms": 2500}],
                 changes={"kafka": {"properties": QUICK}, "revoke": {"drain": "1s"}, "targets": {"a": {"timeout": "5s"}}})
    stage.fleet(2)
    watch = OffsetWatch(stage)
    stage.publish(events(60))
    stage.target.wait(30, open_calls=8)
    stage.kafka.freeze()
    time.sleep(9)  # the outage
    stage.kafka.thaw()
    ended_well(stage, watch)
    stage.stop_all()


@scenario(timeout_s=120, long=True)
def drain_longer_than_the_group_waits(stage):
    """max.poll.interval is shorter than a member's drain: it is put out in the middle, and comes back; exactly once."""
    stage.set_up(partitions=4, rules=[{"attempts": [1, 1], "share": 0.5, "latency_ms": 12000}, {"latency_ms": 50}],
                 changes={"kafka": {"properties": {**QUICK, "max.poll.interval.ms": 6000}},
                          "revoke": {"drain": "20s"}, "targets": {"a": {"timeout": "15s"}}})
    stage.fleet(1)
    watch = OffsetWatch(stage)
    stage.publish(events(40))
    stage.target.wait(30, open_calls=4)
    stage.worker("w2")
    stage.wait_members(["w2"], 30)
    ended_well(stage, watch, 80)
    stage.wait_group()
    stage.stop_all()


def static(name, **more):
    return {"kafka": {"properties": {**QUICK, "group.instance.id": name}}, **more}


@scenario(timeout_s=90)
def static_members_restart(stage):
    """Static members: one restarts within its session, the others do not stop; exactly once."""
    stage.set_up(partitions=4, rules=[{"latency_ms": 30}])
    for name in ("w1", "w2"):
        stage.worker(name, **static(name))
    stage.wait_group()
    watch = OffsetWatch(stage)
    stream = stage.stream(events(5000), per_second=60)
    stage.target.wait(30, calls=60)
    stage.workers["w1"].term()
    stage.demand(stage.workers["w1"].wait(25) in (0, 75), "did not leave well")
    stage.worker("w1", **static("w1"))
    stage.target.wait(30, calls=stage.target.calls() + 200)
    stream.cut()
    ended_well(stage, watch)
    stage.stop_all()


@scenario(timeout_s=90)
def two_with_one_static_id(stage):
    """A second process with the same static id: the first ends with 76, twice at most what it had open."""
    stage.set_up(partitions=4, rules=[{"latency_ms": 100}])
    first = stage.worker("w1", **static("same"))
    stage.wait_group()
    stage.publish(events(300))
    stage.target.wait(30, calls=40)
    second = stage.worker("w2", **static("same"))
    code = first.wait(40)
    stage.demand(code == 76, f"the first ended with {code}: {first.last_lines()}")
    stage.wait_done(stage.units(), 60)
    verdict = stage.judge(lag_by_kafka=True)
    stage.note(f"{len(verdict.excused)} twice")
    stage.demand(second.running(), "the second has ended too")
    stage.stop_all()
