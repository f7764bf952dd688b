"""Commits that are not answered, and brokers that vanish beside them: nothing lost, nothing called twice."""
import time

from harness import checker
from harness.offset_watch import OffsetWatch
from harness.registry import scenario
from harness.stage import events


def finish(stage, watch):
    stage.worker("w8")
    stage.worker("w9")
    stage.wait_done(stage.units(), 90)
    stage.judge(lag_by_kafka=True)
    faults = watch.faults()
    stage.demand(not faults, f"{faults[:3]} ({len(faults)} faults)")
    stage.note(f"{len(watch.samples)} looks at the offsets")


@scenario(timeout_s=200, alone=True, long=True)
def coordinator_hangs_then_sigterm(stage):
    """The broker hangs for 30 s under traffic, then SIGTERM while it still does: gone in time, exactly once afterwards."""
    stage.set_up(rules=[{"latency_ms": 100}])
    stage.fleet(2)
    watch = OffsetWatch(stage)
    stage.publish(events(600))
    stage.target.wait(40, calls=60)
    stage.kafka.freeze()
    time.sleep(30)  # the outage
    took = stage.stop_all((0, 75), 25)
    stage.note(f"gone after {took:.1f} s")
    stage.kafka.thaw()
    finish(stage, watch)


@scenario(timeout_s=150, alone=True, long=True)
def broker_gone_during_the_last_commit(stage):
    """SIGTERM, and the broker is killed in the same moment: gone in time, exactly once after its restart."""
    stage.set_up(rules=[{"latency_ms": 100}])
    stage.fleet(2)
    watch = OffsetWatch(stage)
    stage.publish(events(400))
    stage.target.wait(40, calls=60)
    for worker in stage.alive():
        worker.term()
    time.sleep(0.11)  # a call's length: the lanes have just ended
    stage.kafka.kill()
    for worker in stage.alive():
        stage.demand(worker.wait(25) in (0, 75), f"{worker.name}: {worker.last_lines()}")
    stage.kafka.start()
    stage.kafka.wait_ready()
    finish(stage, watch)


@scenario(timeout_s=150, alone=True, long=True)
def broker_killed_right_after_a_commit(stage):
    """kill -9 of the broker the moment a commit is seen, twice: offsets do not go back past what was worked, exactly once."""
    stage.set_up(rules=[{"latency_ms": 50}])
    stage.fleet(2)
    watch = OffsetWatch(stage)
    stage.publish(events(1200))
    for calls in (60, 400):
        stage.target.wait(60, calls=calls)
        before = stage.lag()
        while stage.lag() == before:
            time.sleep(0.005)
        stage.kafka.kill()
        stage.kafka.start()
        stage.kafka.wait_ready()
    stage.wait_done(stage.units(), 90)
    stage.judge(lag_by_kafka=True)
    faults = watch.faults()
    stage.demand(not faults, f"{faults[:3]} ({len(faults)} faults)")
    stage.stop_all()


@scenario(timeout_s=120)
def due_while_members_come_and_go(stage):
    """Every unit waits in a retry topic; members join and leave while the records are due: exactly once."""
    stage.set_up(partitions=3, rules=[{"status": 500}],
                 changes={"targets": {"a": {"retry": {"hold": "0s", "budget": "1h"}}}})
    stage.fleet(2)
    watch = OffsetWatch(stage)
    stage.publish(events(150))
    stage.wait_drained(60)
    stage.target.rules({"latency_ms": 40})
    for _ in range(2):
        stage.worker("w3")
        time.sleep(1)  # records become due in between
        stage.workers["w3"].term()
        stage.workers["w3"].wait(25)
    stage.wait_done(stage.units(), 60)
    stage.judge(lag_by_kafka=True)
    faults = watch.faults()
    stage.demand(not faults, f"{faults[:3]} ({len(faults)} faults)")


@scenario(timeout_s=150, long=True)
def great_backlog_in_a_retry_topic(stage):
    """2,000 units wait in the retry topics: all are called, once, without new events being held."""
    stage.set_up(partitions=6, rules=[{"status": 500}],
                 changes={"targets": {"a": {"retry": {"hold": "0s", "budget": "1h"}}}})
    stage.fleet(2)
    stage.publish(events(2000))
    stage.wait_drained(60)
    stage.target.rules({"latency_ms": 10})
    fresh = events(50, first=90000)
    stage.publish(fresh)
    stage.wait_done(stage.units(fresh), 40)
    stage.wait_done(stage.units(), 90)
    stage.judge(lag_by_kafka=True)


@scenario(timeout_s=90)
def two_groups_on_one_topic(stage):
    """Two groups with the same Redis and prefix: each calls every event once, and has retry topics of its own."""
    stage.set_up(partitions=3, rules=[{"attempts": [1, 2], "key": "e-0000", "status": 500}],
                 changes={"targets": {"a": {"retry": {"hold": "0s", "budget": "1h"}}}})
    stage.fleet(1)
    other = stage.worker("other", kafka={"group": "other-" + stage.group})
    other.wait_ready()
    stage.publish(events(60))

    def by_group():
        calls = [r for r in stage.target.requests() if checker.is_done(r)]
        return [sorted(r.key for r in calls if (r.worker == "other") == other) for other in (True, False)]
    wanted = sorted(stage.units())
    deadline = time.monotonic() + 40
    while by_group() != [wanted, wanted] and time.monotonic() < deadline:
        time.sleep(0.2)
    stage.demand(by_group() == [wanted, wanted], f"calls by group: {[len(g) for g in by_group()]}")
