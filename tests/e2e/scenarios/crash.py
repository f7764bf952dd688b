"""Consumers that vanish or freeze: nothing lost, and twice only what was open in them."""
import time

from harness.registry import scenario
from harness.stage import IN_SOCKETS_MS, MOCK_SESSION, events

# The shortest session a real broker allows: recovery takes as long.
SHORT = {"kafka": {"properties": {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}}}


def session_of(stage):
    return {"kafka": {"properties": MOCK_SESSION}} if stage.kafka.kind == "mock" else SHORT


@scenario(brokers=("real", "mock"), timeout_s=150)
def kill_in_mid_batch(stage):
    """kill -9 of one of three: called twice at most what it had open, each with the same idempotency key."""
    stage.set_up(changes=session_of(stage), rules=[{"latency_ms": 150}])
    stage.fleet(3)
    stage.publish(events(600 if stage.kafka.kind == "real" else 300))
    victim = busiest(stage)
    victim.kill()
    stage.excuse(victim.name, "kill -9", after_ms=IN_SOCKETS_MS)
    opened = open_at_the_end(stage, victim.name)
    stage.wait_done(stage.units(), 90)
    verdict = stage.judge(excused_max=len(opened), lag_by_kafka=True)
    stage.demand(set(verdict.excused) <= opened, f"twice, but not open at the kill: {set(verdict.excused) - opened}")
    stage.note(f"{len(opened)} calls were open, {len(verdict.excused)} units were called twice")
    stage.stop_all()


@scenario(brokers=("real", "mock"), timeout_s=150)
def killed_again_and_again(stage):
    """kill -9 of the busiest, a new one in its place, twice: what was claimed and not sent is called once."""
    stage.set_up(changes=session_of(stage), rules=[{"latency_ms": 300}], partitions=4)
    stage.fleet(2)
    stage.publish(events(400 if stage.kafka.kind == "real" else 200))
    allowed = 0
    for number in (3, 4):
        victim = busiest(stage)
        victim.kill()
        stage.excuse(victim.name, "kill -9", after_ms=IN_SOCKETS_MS)
        allowed += len(open_at_the_end(stage, victim.name))
        stage.worker(f"w{number}")
    stage.wait_done(stage.units(), 90)
    verdict = stage.judge(excused_max=allowed)
    stage.note(f"{allowed} calls were open, {len(verdict.excused)} units were called twice")


@scenario(timeout_s=180)
def frozen_past_its_session(stage):
    """SIGSTOP for longer than the session, then SIGCONT: nothing lost, twice at most what was open, works again."""
    stage.set_up(changes=SHORT, rules=[{"latency_ms": 150}])
    stage.fleet(3)
    stage.publish(events(900))
    victim = busiest(stage)
    victim.freeze()
    stage.excuse(victim.name, "frozen", after_ms=IN_SOCKETS_MS)
    opened = open_at_the_end(stage, victim.name)
    others = sorted(w.name for w in stage.alive() if w is not victim)
    stage.wait_members(others, 30)
    time.sleep(2)  # the others work what was his: that is the point of the freeze
    victim.thaw()
    stage.wait_done(stage.units(), 90)
    stage.wait_group()  # the thawed one is a member again, unaided
    verdict = stage.judge(excused_max=len(opened), lag_by_kafka=True)
    stage.note(f"{len(opened)} calls were open, {len(verdict.excused)} units were called twice")
    stage.stop_all((0, 75))  # what waits in a retry topic is given back


def busiest(stage):
    """The worker with the most open calls once many are open."""
    stage.target.wait(40, calls=30, open_calls=5)
    opened = {w.name: len(stage.open_calls(w.name)) for w in stage.alive()}
    return stage.workers[max(opened, key=opened.get)]


def open_at_the_end(stage, name):
    """Units whose call the worker had open, or answered so late that it cannot have recorded it, when it was excused."""
    excuse = stage.excuses[-1]
    return {r.key for r in stage.target.requests() if r.worker == name and r.arrived_ns <= excuse.end_ns
            and (not r.answered_ns or r.answered_ns >= excuse.begin_ns)}
