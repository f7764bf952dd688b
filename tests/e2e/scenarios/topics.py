"""Topics that vanish, appear and refuse."""
import os

from harness.proc import now, wait_for
from harness.registry import scenario
from harness.stage import events

AT_ONCE = {"targets": {"a": {"retry": {"hold": "0s", "budget": "1h"}}}}  # to the retry topics


def gone(stage, topic):
    stage.kafka.client.delete_topic(topic)
    wait_for(lambda: topic not in stage.kafka.client.partitions(), 20, f"{topic} to be gone")


@scenario(timeout_s=120, long=True)
def retry_topic_deleted_in_mid_run(stage):
    """A retry topic vanishes under the fleet: the other partitions go on, parking waits until it is there again."""
    stage.set_up(partitions=2, changes=AT_ONCE, rules=[{"key": "e-0090", "attempts": [1, 1], "status": 500}])
    worker = stage.fleet(1)[0]
    stage.publish(events(50))
    stage.wait_done(stage.units())
    gone(stage, stage.retry_topics[0])
    stage.publish(events(200, first=100))
    stage.wait_done(stage.units(), 30)
    stage.wait_drained(20)
    stage.publish(events(2, first=900))
    worker.wait_log("parking failed", 60)
    stage.kafka.create_topic(stage.retry_topics[0], 3, **{"message.timestamp.type": "LogAppendTime"})
    back = now()
    stage.wait_done(stage.units(), 60)
    stage.note(f"retried {now() - back:.1f} s after the topic was back")
    stage.judge()


@scenario(timeout_s=120)
def retry_topic_deleted_while_its_lane_works(stage):
    """The retry topic vanishes while a call of its record is open: the end is recorded, the other partitions' commits go on."""
    stage.set_up(partitions=2, changes=AT_ONCE,
                 rules=[{"key": "e-00900", "attempts": [1, 1], "status": 500}, {"key": "e-00900", "latency_ms": 3000}])
    stage.fleet(1)
    stage.publish(events(1, first=900))
    stage.target.wait(20, calls=2, open_calls=1)
    gone(stage, stage.retry_topics[0])
    stage.publish(events(300))
    stage.wait_done(stage.units(), 30)
    stage.publish(events(300, first=1000))
    stage.wait_done(stage.units(), 30)
    stage.wait_drained(30)
    stage.judge()


@scenario(timeout_s=120)
def dead_topic_deleted_in_mid_run(stage):
    """The dead-letter topic vanishes: the lane holds, says so, commits nothing past it, and goes on when it is back."""
    stage.set_up(partitions=1, rules=[{"key": "e-00003", "status": 400}])
    worker = stage.fleet(1)[0]
    gone(stage, stage.dead_topic)
    stage.publish(events(10))
    worker.wait_log("parking failed", 60)
    done = stage.kafka.client.committed(stage.group, stage.topic, 1)[0]
    stage.demand(done <= 3, f"committed {done}, past a unit that is not dead-lettered")
    stage.kafka.create_topic(stage.dead_topic, 1)
    back = now()
    stage.wait_done(stage.units([e for e in stage.published if e["id"] != "e-00003"]), 40)
    stage.note(f"on {now() - back:.1f} s after the topic was back")
    stage.wait_drained(30)
    stage.judge(dead=stage.dead())


@scenario(timeout_s=90)
def record_that_no_topic_takes(stage):
    """A key of 6 MB: larger than the dead-letter topic allows even without its value: cut, and the lane goes on."""
    stage.set_up(partitions=1, changes={"kafka": {"properties": {"message.max.bytes": 12_000_000}}})
    gone(stage, stage.dead_topic)
    stage.kafka.create_topic(stage.dead_topic, 1, **{"max.message.bytes": "4194304"})
    path = os.path.join(stage.folder, "record")
    with open(path, "wb") as f:
        f.write(b"k" * 6_000_000 + b"\t" + b"not json\n")
    stage.kcat("-P", "-t", stage.topic, "-K", "\t", "-X", "message.max.bytes=12000000", "-l", path)
    stage.publish(events(10))
    stage.fleet(1)
    stage.wait_done(stage.units(), 30)
    wait_for(lambda: len(stage.records(stage.dead_topic)) == 1, 20, "the dead letter", 0.5)
    stage.judge()


@scenario(timeout_s=120)
def other_delays_than_the_records(stage):
    """The fleet comes back with other retry.delays, and without one target: old tiers are worked, the gone target's units are dead."""
    stage.set_up(partitions=2, targets=("a", "b"), delays=["2s", "3s"], rules=[{"status": 500}],
                 changes={"targets": {t: {"retry": {"hold": "0s", "budget": "1h"}} for t in "ab"}})
    stage.fleet(2)
    stage.publish(events(20))
    stage.wait_drained(30)
    stage.stop_all((0, 75))
    stage.target.rules()
    stage.target_names = ("a",)
    stage.changes = {}
    stage.delays = ["1s"]
    stage.fleet(2, first=3)
    stage.wait_done(stage.units(), 40)
    wait_for(lambda: len(stage.dead()) >= 20, 30, "b's dead letters", 0.5)
    reasons = {r["headers"].get("sluice-reason") for r in stage.dead().values()}
    stage.demand(reasons == {"target-gone"}, f"reasons {reasons}")
    stage.note(f"dead {len(stage.dead())}")
