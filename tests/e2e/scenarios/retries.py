"""Targets that fail: retried, parked in the retry topics, dead-lettered with a reason."""
import re
import time

from harness import checker
from harness.proc import wait_for
from harness.registry import scenario
from harness.stage import events

# little patience at the barrier, so that units reach the retry topics soon
SOON = {"targets": {"a": {"retry": {"hold": "500ms", "backoff": "100ms..200ms", "budget": "1h"}}}}


@scenario(brokers=("real", "mock"), timeout_s=120)
def recovers_over_the_retry_topics(stage):
    """500 for some seconds, then well: every unit waits in a retry topic, none holds its lane, all are called once."""
    stage.set_up(partitions=3, rules=[{"status": 500}], changes=SOON)
    stage.fleet(2)
    stage.publish(events(30))
    stage.wait_drained(60)  # all parked: the source topic is committed although nothing was triggered
    done = checker.done_calls(stage.target.requests())
    stage.demand(not done, f"{len(done)} units were done by a target that only says 500")
    parked = sum(len(stage.records(t)) for t in stage.retry_topics)
    stage.demand(parked >= 30, f"only {parked} records in the retry topics")
    keep = stage.records(stage.retry_topics[0])[0]["headers"]
    for header in ("sluice-reason", "sluice-round", "sluice-target", "sluice-event-id", "sluice-attempts",
                   "sluice-first-seen", "sluice-origin-offset"):
        stage.demand(header in keep, f"a parked record has no {header}: {sorted(keep)}")
    stage.target.rules()
    stage.wait_done(stage.units(), 60)
    stage.judge()
    stage.demand(not stage.records(stage.dead_topic), "dead letters although all were triggered")


@scenario(brokers=("real", "mock"), timeout_s=90)
def brief_failures_are_retried_at_once(stage):
    """503 on the first two tries of each unit: done within the patience at the barrier, same key, nothing parked."""
    stage.set_up(partitions=2, rules=[{"attempts": [1, 2], "status": 503, "share": 0.3}],
                 changes={"targets": {"a": {"retry": {"hold": "10s", "backoff": "50ms..200ms"}}}})
    stage.fleet(1)
    stage.publish(events(40))
    stage.wait_done(stage.units(), 60)
    stage.judge()
    stage.demand(not any(stage.records(t) for t in stage.retry_topics), "units were parked")


@scenario(brokers=("real", "mock"), timeout_s=90)
def refused_for_good(stage):
    """400 and 404 and a redirect: dead-lettered after one call, with reason and attempts; others go on."""
    stage.set_up(partitions=1, rules=[
        {"key": "e-00003", "status": 400}, {"key": "e-00005", "status": 404},
        {"key": "e-00007", "status": 302, "headers": {"location": "http://127.0.0.1:1/x"}}])
    worker = stage.fleet(1)[0]
    stage.publish(events(12))
    stage.wait_drained(60)
    wait_for(lambda: len(stage.dead()) >= 3, 20, "three dead letters", 0.3)
    dead = stage.dead()
    reasons = {unit: record["headers"].get("sluice-reason") for unit, record in dead.items()}
    stage.demand(set(dead) == {"a/e-00003", "a/e-00005", "a/e-00007"}, f"dead: {reasons}")
    stage.demand(reasons["a/e-00003"] == "http_400" and reasons["a/e-00005"] == "http_404", f"reasons: {reasons}")
    tries = [r.key for r in stage.target.requests() if r.key in dead]
    stage.demand(sorted(tries) == sorted(dead), f"a call that cannot get better was repeated: {tries}")
    said = re.findall(r'"trigger failed".*"attempt":1,.*"trace_id":"[0-9a-f]{32}","span_id":"[0-9a-f]{16}"', worker.log())
    stage.demand(len(said) == 3, f"{len(said)} lines of failures with a trace: {worker.last_lines()}")
    stage.judge(dead=dead)


@scenario(brokers=("real", "mock"), timeout_s=120)
def gives_up_after_its_budget(stage):
    """A target that never recovers: after retry.budget the units lie in the dead-letter topic, none is lost."""
    budget = {"targets": {"a": {"retry": {"hold": "300ms", "backoff": "100ms..100ms", "budget": "5s"}}}}
    stage.set_up(partitions=1, rules=[{"status": 503}], changes=budget)
    stage.fleet(1)
    stage.publish(events(5))
    wait_for(lambda: len(stage.dead()) >= 5, 60, "five dead letters", 0.5)
    stage.judge(dead=stage.dead())
    took = max(r.arrived_ns for r in stage.target.requests()) - min(r.arrived_ns for r in stage.target.requests())
    stage.note(f"last try {took / 1e9:.1f} s after the first")


@scenario(brokers=("real", "mock"), timeout_s=120)
def retry_after_is_honoured(stage):
    """429 with Retry-After: 2: no call before two seconds have passed, then done."""
    stage.set_up(partitions=1, rules=[{"attempts": [1, 1], "status": 429, "headers": {"retry-after": "2"}}],
                 changes={"targets": {"a": {"retry": {"hold": "10s"}}}})
    stage.fleet(1)
    stage.publish(events(3))
    stage.wait_done(stage.units(), 40)
    tries = {}
    for r in stage.target.requests():
        tries.setdefault(r.key, []).append(r.arrived_ns)
    early = [k for k, t in tries.items() if len(t) > 1 and t[1] - t[0] < 1.95e9]
    stage.demand(not early, f"called again too early: {early}")
    stage.judge()


@scenario(brokers=("mock",), timeout_s=60)
def silence_is_kept_by_all_lanes(stage):
    """429 with a Retry-After beyond the patience, no limit: only what was open is refused, the rest waits uncalled."""
    stage.set_up(partitions=4, rules=[{"status": 429, "headers": {"retry-after": "60"}}])
    stage.fleet(1)
    stage.publish(events(100))
    stage.wait_drained(30)
    calls = stage.target.calls()
    stage.note(f"{calls} calls")
    stage.demand(calls <= 4 * 5, f"{calls} calls although the first answers asked for silence")


@scenario(brokers=("mock",), timeout_s=60)
def silence_is_one_targets_own(stage):
    """a and b share a limit, a asks for silence: b goes on."""
    stage.set_up(partitions=4, targets=("a", "b"),
                 rules=[{"path": "/a/", "status": 429, "headers": {"retry-after": "60"}}], changes={
                     "limits": {"all": {"rate": "100/s", "burst": 10}},
                     "targets": {"a": {"limits": ["all"]}, "b": {"limits": ["all"]}}})
    stage.fleet(2)
    stage.publish(events(100))
    stage.wait_done([u for u in stage.units() if u.startswith("b/")], 30)


@scenario(brokers=("real", "mock"), timeout_s=150)
def nasty_targets_are_bounded(stage):
    """A hang, a reset and a close are retried with the same key; a body that drips or never ends is cut off after its 200."""
    acts = ["hang", "reset", "close", "drip", "endless"]
    stage.set_up(partitions=1, rules=[{"key": f"e-{n:05d}", "attempts": [1, 1], "act": act} for n, act in enumerate(acts)],
                 changes={"targets": {"a": {"timeout": "1s", "retry": {"hold": "20s", "backoff": "50ms..100ms"}}}})
    worker = stage.fleet(1)[0]
    stage.publish(events(8))
    began = time.monotonic()
    stage.wait_drained(60)
    stage.note(f"drained after {time.monotonic() - began:.1f} s")
    dead = stage.dead()
    stage.demand(not dead, f"dead: {sorted(dead)}")
    stage.judge()
    rss = stage.resident_mb(worker)
    stage.demand(rss < 100, f"{rss:.0f} MB resident after an endless body")


@scenario(brokers=("real", "mock"), timeout_s=120)
def one_dead_target_does_not_hold_the_other(stage):
    """Target a hangs, target b is well: b's units are all called long before a's patience is over."""
    stage.set_up(partitions=3, targets=("a", "b"), rules=[{"path": "/a/", "act": "hang"}],
                 changes={"in_flight": 16, "targets": {"a": {"timeout": "1s", "retry": {"hold": "2s"}}}})
    stage.fleet(2)
    stage.publish(events(150))
    began = time.monotonic()
    stage.wait_done([u for u in stage.units() if u.startswith("b/")], 60)
    stage.note(f"b's 150 units done after {time.monotonic() - began:.1f} s")
    stage.target.rules()
    stage.wait_done(stage.units(), 60)
    stage.judge()
