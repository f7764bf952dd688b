"""Where a partition starts, and what happens when offsets do not fit the log: nothing skipped or replayed in silence."""
import json
import time

from harness import checker
from harness.proc import wait_for
from harness.registry import scenario
from harness.stage import event, events

LATEST = {"kafka": {"start": "latest"}}
QUICK = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500, "topic.metadata.refresh.interval.ms": 1000}


def gaps(workers):
    return sum(checker.total(w.metrics(), "sluice_offset_gaps_total") for w in workers)


def born(stage):
    """Until the group's start on each partition is on record: before that, latest is still to come."""
    wait_for(lambda: min(stage.kafka.client.committed(stage.group, stage.topic, stage.partitions).values()) >= 0, 20,
             "the group's first offsets", pause_s=0.02, alive=stage.alive())


def put(stage, partition, batch):
    """Publish to one partition."""
    stage.publish(batch, options=("-p", str(partition)))


def not_ours(stage, batch):
    """These may not be called."""
    return {f"a/{e['id']}" for e in batch}


@scenario(timeout_s=60)
def latest_skips_only_what_was_there(stage):
    """start: latest, three members of a new group at once: the backlog is not called, all that comes after is, once."""
    stage.set_up(partitions=6, changes=LATEST)
    stage.publish(events(300))
    stage.published = []
    stage.fleet(3)
    born(stage)
    stage.publish(events(60, first=1000))
    stage.wait_done(stage.units())
    stage.judge(lag_by_kafka=True)
    stage.demand(not gaps(stage.alive()), "gaps were counted")


@scenario(timeout_s=90)
def moves_before_its_first_batch(stage):
    """start: latest; the first member leaves before any event came: what is published meanwhile is not skipped."""
    stage.set_up(partitions=3, changes=LATEST)
    stage.publish(events(20))
    stage.published = []
    first = stage.fleet(1)[0]
    born(stage)
    first.term()
    stage.demand(first.wait(20) == 0, "did not leave")
    stage.publish(events(30, first=1000))
    stage.fleet(1, first=2)
    stage.publish(events(30, first=2000))
    stage.wait_done(stage.units())
    stage.judge(lag_by_kafka=True)


@scenario(timeout_s=90)
def partitions_added_later(stage):
    """start: latest; partitions added with events before the fleet notices: read from their beginning."""
    stage.set_up(partitions=2, changes={"kafka": {"start": "latest", "properties": QUICK}})
    stage.publish(events(20))
    stage.published = []
    stage.fleet(2)
    born(stage)
    stage.publish(events(20, first=1000))
    stage.wait_done(stage.units())
    stage.kafka.client.add_partitions(stage.topic, 4)
    stage.partitions = 4
    wait_for(lambda: stage.kafka.client.partitions().get(stage.topic) == 4, 20, "four partitions")
    put(stage, 2, events(10, first=2000))
    put(stage, 3, events(10, first=3000))
    stage.wait_group()
    stage.wait_done(stage.units())
    stage.judge(lag_by_kafka=True)


@scenario(timeout_s=90)
def partitions_added_while_stopped(stage):
    """The same while nobody is there; the offsets were also set anew by a tool, which forgets our note on them."""
    stage.set_up(partitions=2, changes=LATEST)
    stage.fleet(1)
    born(stage)
    stage.publish(events(20))
    stage.wait_done(stage.units())
    stage.wait_drained()
    stage.stop_all()
    stage.kafka.client.commit(stage.group, stage.topic, {0: 0, 1: 0})
    stage.kafka.client.add_partitions(stage.topic, 3)
    stage.partitions = 3
    wait_for(lambda: stage.kafka.client.partitions().get(stage.topic) == 3, 20, "three partitions")
    put(stage, 2, events(10, first=2000))
    worker = stage.fleet(1, first=2)[0]
    stage.wait_done(stage.units())
    stage.judge(lag_by_kafka=True)
    stage.demand(worker.verdicts("duplicate") == 20, f"{worker.verdicts('duplicate')} duplicates, not 20")


@scenario(timeout_s=90)
def retention_overtook_a_stopped_group(stage):
    """Records deleted past the committed offset while nobody was there: counted, shouted, the rest is called."""
    stage.set_up(partitions=1)
    stage.fleet(1)
    stage.publish(events(10))
    stage.wait_done(stage.units())
    stage.wait_drained()
    stage.stop_all()
    late = events(30, first=1000)
    put(stage, 0, late)
    stage.kafka.client.delete_records(stage.topic, {0: 25})
    stage.published = stage.published[:10] + late[15:]
    worker = stage.fleet(1, first=2)[0]
    stage.wait_done(stage.units())
    stage.judge(lag_by_kafka=True)
    stage.demand(gaps([worker]) == 15, f"{gaps([worker])} gaps counted, 15 records are gone")
    stage.demand("out of range" in worker.log(), "nothing said")


@scenario(timeout_s=90)
def on_gap_hold(stage):
    """on_gap: hold: the partition stands still, said aloud, the others go on; an operator's offset lets it go on."""
    stage.set_up(partitions=2, changes={"kafka": {"on_gap": "hold"}})
    stage.fleet(1)
    put(stage, 0, events(10))
    put(stage, 1, events(10, first=100))
    stage.wait_done(stage.units())
    stage.wait_drained()
    stage.stop_all()
    late, other = events(30, first=1000), events(30, first=2000)
    put(stage, 0, late)
    put(stage, 1, other)
    stage.kafka.client.delete_records(stage.topic, {0: 25})
    worker = stage.fleet(1, first=2)[0]
    stage.wait_done(stage.units(other))
    worker.wait_log("the partition is held")
    # a while, over several looks at the held partition
    put(stage, 1, events(5, first=3000))
    stage.wait_done(stage.units(stage.published[-5:]))
    held = not_ours(stage, late) & set(checker.done_calls(stage.target.requests()))
    stage.demand(not held, f"called although held: {sorted(held)[:3]}")
    done = stage.kafka.client.committed(stage.group, stage.topic, 2)
    stage.demand(done[0] == 10, f"committed {done[0]} on the held partition")
    stage.stop_all()
    stage.kafka.client.commit(stage.group, stage.topic, {0: 25})
    stage.published = [e for e in stage.published if e not in late[:15]]
    stage.fleet(1, first=3)
    stage.wait_done(stage.units())
    stage.judge(lag_by_kafka=True)


@scenario(timeout_s=60)
def first_member_dies_before_it_commits(stage):
    """start: latest; a partition's first owner died before its start was committed: from the group's birth on, not from today's end."""
    stage.set_up(partitions=2, changes=LATEST)
    put(stage, 1, events(20))
    put(stage, 0, events(1, first=100))
    time.sleep(1.1)  # the clock is what tells before from after
    birth = int(time.time() * 1000)
    stage.kafka.client.commit(stage.group, stage.topic, {0: 1}, f"born=2@{birth}")
    stage.published = []
    put(stage, 1, events(10, first=1000))
    stage.fleet(1)
    stage.wait_done(stage.units())
    stage.judge(lag_by_kafka=True)


# little prefetch, so that a held lane has not the whole backlog in memory
SMALL = {"kafka": {"prefetch": "1MiB"}, "batch": {"size": 5}, "targets": {"a": {"timeout": "10s"}}}


@scenario(timeout_s=90)
def retention_overtakes_a_held_lane(stage):
    """Records deleted ahead of a lane that waits for its target: what it has is called, the gap counted, it goes on."""
    stage.set_up(partitions=1, changes=SMALL, rules=[{"latency_ms": 3000, "attempts": [1, 1], "key": "e-0000"}])
    worker = stage.fleet(1)[0]
    backlog = events(400, pad="x" * 20000)
    put(stage, 0, backlog)
    stage.target.wait(30, open_calls=5)
    stage.kafka.client.delete_records(stage.topic, {0: 390})
    stage.wait_done(stage.units(backlog[390:]))
    stage.wait_drained()
    called = {k[2:] for k in checker.done_calls(stage.target.requests())}
    missing = [e["id"] for e in backlog if e["id"] not in called]
    stage.note(f"{len(missing)} records were deleted before they were read, {gaps([worker]):.0f} counted")
    stage.demand(0 < len(missing) == gaps([worker]), f"{len(missing)} missing, {gaps([worker])} counted")
    stage.published = [e for e in backlog if e["id"] in called]
    stage.judge(lag_by_kafka=True)


@scenario(timeout_s=120)
def topic_made_anew_while_stopped(stage):
    """The topic is deleted and made again while nobody is there; start: latest does not skip what it holds now."""
    stage.set_up(partitions=1, changes=LATEST)
    stage.fleet(1)
    born(stage)
    put(stage, 0, events(50))
    stage.wait_done(stage.units())
    stage.wait_drained()
    stage.stop_all()
    anew(stage)

    stage.kafka.client.commit(stage.group, stage.topic, {0: 50})
    late = events(10, first=1000)
    put(stage, 0, late)
    worker = stage.fleet(1, first=2)[0]
    stage.wait_done(stage.units())
    stage.demand("out of range" in worker.log(), "nothing said")
    stage.judge(lag_by_kafka=True)


def anew(stage):
    stage.kafka.client.delete_topic(stage.topic)
    wait_for(lambda: stage.topic not in stage.kafka.client.partitions(), 20, "the topic to be gone")
    stage.kafka.create_topic(stage.topic, stage.partitions)


@scenario(timeout_s=120)
def topic_made_anew_while_running(stage):
    """The same under a running fleet: it goes on with the new topic, from its beginning, unaided."""
    stage.set_up(partitions=2, changes={"kafka": {"start": "latest", "properties": QUICK}})
    worker = stage.fleet(1)[0]
    born(stage)
    stage.publish(events(50))
    stage.wait_done(stage.units())
    stage.wait_drained()
    anew(stage)
    stage.publish(events(10, first=1000))
    stage.wait_done(stage.units(), 40)
    stage.note(f"{gaps([worker])} gaps")
    stage.judge()


@scenario(timeout_s=120)
def transactions_are_no_gaps(stage):
    """A transactional producer's markers leave holes in the offsets: no gap is counted, the lag goes to 0."""
    stage.set_up(partitions=1)
    worker = stage.fleet(1)[0]
    transactions(stage, event(1))
    put(stage, 0, [event(2)])
    transactions(stage, event(3))  # the partition ends with a marker
    stage.published = [event(1), event(2), event(3)]
    stage.wait_done(stage.units())
    stage.wait_drained(20)
    stage.judge(lag_by_kafka=True)
    stage.demand(not gaps([worker]), f"{gaps([worker])} gaps")
    stage.demand(checker.total(worker.metrics(), "sluice_offset_holes_total") > 3, "no holes: nothing was tested")


def transactions(stage, e):
    """The event some times, in several transactions."""
    path = f"{stage.folder}/payload"
    with open(path, "w", encoding="ascii") as f:
        f.write(json.dumps(e) + "\n")
    stage.kafka.tool("org.apache.kafka.tools.ProducerPerformance", "--topic", stage.topic, "--num-records", "10",
                     "--throughput", "100", "--payload-file", path, "--producer-props",
                     f"bootstrap.servers={stage.kafka.bootstrap}", "--transactional-id", "t",
                     "--transaction-duration-ms", "20")
