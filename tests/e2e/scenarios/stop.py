"""SIGTERM at bad moments: gone within the grace, exit 0 or 75, nothing lost, nothing doubled."""
import signal

from harness.proc import now, wait_for
from harness.registry import scenario
from harness.stage import IN_SOCKETS_MS, events

GRACE_S = 25
LEFT = (0, 75)


def finish_with_others(stage, excused_max=0):
    """New consumers work off what was left."""
    stage.worker("w8")
    stage.worker("w9")
    stage.wait_done(stage.units(), 90)
    return stage.judge(excused_max=excused_max, lag_by_kafka=True)


@scenario(brokers=("real", "mock"), timeout_s=120)
def in_mid_batch(stage):
    """SIGTERM to one of three with calls open: the others take over, exactly once."""
    stage.set_up(rules=[{"latency_ms": 150}])
    stage.fleet(3)
    stage.publish(events(500 if stage.kafka.kind == "real" else 250))
    stage.target.wait(40, calls=30, open_calls=6)
    leaving, began = stage.workers["w2"], now()
    leaving.term()
    code = leaving.wait(GRACE_S)
    stage.demand(code in LEFT, f"exit {code}: {leaving.last_lines()}")
    stage.note(f"exit {code} after {now() - began:.1f} s")
    stage.wait_done(stage.units(), 90)
    stage.judge(lag_by_kafka=True)
    stage.stop_all()


@scenario(brokers=("real", "mock"), timeout_s=120)
def whole_fleet_in_mid_batch(stage):
    """SIGTERM to all three at once: what they give back is called once by others."""
    stage.set_up(rules=[{"latency_ms": 150}])
    stage.fleet(3)
    stage.publish(events(300))
    stage.target.wait(40, calls=30, open_calls=6)
    took = stage.stop_all(LEFT, GRACE_S)
    stage.note(f"gone after {took:.1f} s")
    finish_with_others(stage)


@scenario(timeout_s=180, alone=True)
def with_the_broker_stopped(stage):
    """The broker hangs, then SIGTERM: gone within the grace; exactly once after its return."""
    stage.set_up(rules=[{"latency_ms": 150}])
    stage.fleet(3)
    stage.publish(events(300))
    stage.target.wait(40, calls=30, open_calls=6)
    stage.kafka.freeze()
    took = stage.stop_all(LEFT, GRACE_S)
    stage.note(f"gone after {took:.1f} s")
    stage.kafka.thaw()
    finish_with_others(stage)


@scenario(timeout_s=180, alone=True)
def with_the_broker_gone(stage):
    """The broker is killed, then SIGTERM: the same."""
    stage.set_up(rules=[{"latency_ms": 150}])
    stage.fleet(3)
    stage.publish(events(300))
    stage.target.wait(40, calls=30, open_calls=6)
    stage.kafka.kill()
    took = stage.stop_all(LEFT, GRACE_S)
    stage.note(f"gone after {took:.1f} s")
    stage.kafka.start()
    stage.kafka.wait_ready()
    finish_with_others(stage)


@scenario(brokers=("real", "mock"), timeout_s=180)
def with_the_target_hanging(stage):
    """No call is answered, then SIGTERM: gone within the grace with 75; nothing lost."""
    stage.set_up(rules=[{"act": "hang"}], changes={"targets": {"a": {"timeout": "60s"}}})
    stage.fleet(2)
    stage.publish(events(60))
    wait_for(lambda: all(stage.open_calls(w.name) for w in stage.alive()), 40, "both to have calls open")
    took = stage.stop_all((75,), GRACE_S)
    stage.note(f"gone after {took:.1f} s")
    stage.target.rules()
    finish_with_others(stage)


@scenario(brokers=("real", "mock"), timeout_s=120)
def with_redis_gone(stage):
    """Redis is killed, then SIGTERM: gone within the grace; twice at most what was open."""
    stage.set_up(rules=[{"latency_ms": 150}], redis={"keep": True})
    stage.fleet(2)
    stage.publish(events(200))
    stage.target.wait(40, calls=20, open_calls=4)
    stage.redis.kill()
    stage.excuse(None, "Redis was gone", after_ms=IN_SOCKETS_MS)
    at_most = stage.target.open() + 20
    took = stage.stop_all(LEFT, GRACE_S)
    stage.note(f"gone after {took:.1f} s")
    stage.redis.start()
    finish_with_others(stage, at_most)


@scenario(brokers=("real", "mock"), timeout_s=90)
def second_sigterm(stage):
    """A second SIGTERM ends it at once, with 143."""
    signal_twice(stage, signal.SIGTERM, 143)


@scenario(brokers=("mock",), timeout_s=90)
def second_sigint(stage):
    """A second Ctrl-C ends it at once, with 130."""
    signal_twice(stage, signal.SIGINT, 130)


def signal_twice(stage, number, code):
    stage.set_up(partitions=2, rules=[{"act": "hang"}], changes={"targets": {"a": {"timeout": "60s"}}})
    stage.publish(events(20))
    worker = stage.worker("w1")
    stage.target.wait(40, open_calls=1)
    worker.signal(number)
    worker.wait_log('"msg":"stopping"', 10)
    began = now()
    worker.signal(number)
    got = worker.wait(5)
    stage.demand(got == code, f"exit {got}, not {code}: {worker.last_lines()}")
    stage.note(f"gone after {now() - began:.2f} s")
