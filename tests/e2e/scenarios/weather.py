"""Brokers and Redis that go and come back: work goes on unaided, nothing lost, nothing called twice."""
import time

from harness.proc import now, wait_for
from harness.registry import scenario
from harness.stage import events

UNAIDED_S = 30  # promise P5: a dependency that returns is used again within this time


def under_way(stage, count, **set_up):
    """Three consumers in mid-run."""
    stage.set_up(rules=[{"latency_ms": 100}], **set_up)
    stage.fleet(3)
    stage.publish(events(count))
    stage.target.wait(40, calls=100)


def goes_on(stage, since):
    """The next call comes within the promised time of the dependency's return."""
    before = stage.target.calls()
    stage.target.wait(max(1, UNAIDED_S - (now() - since)), calls=before + 1)
    stage.note(f"went on {now() - since:.1f} s after the return")


@scenario(timeout_s=240, alone=True)
def broker_killed(stage):
    """kill -9 of the broker, 20 s without it: on within 30 s of its return; what comes again ends as duplicate."""
    under_way(stage, 2500)
    stage.kafka.kill()
    time.sleep(20)  # the outage
    stage.kafka.start()
    stage.kafka.wait_ready()
    goes_on(stage, now())
    stage.wait_done(stage.units(), 120)
    stage.judge(lag_by_kafka=True)
    stage.stop_all()


@scenario(timeout_s=180, alone=True)
def broker_frozen(stage):
    """SIGSTOP of the broker for 10 s: on within 30 s, exactly once."""
    under_way(stage, 1500)
    stage.kafka.freeze()
    time.sleep(10)  # the outage
    stage.kafka.thaw()
    goes_on(stage, now())
    stage.wait_done(stage.units(), 90)
    stage.judge(lag_by_kafka=True)
    stage.stop_all()


@scenario(brokers=("real", "mock"), timeout_s=120, alone=True)
def broker_down_at_start(stage):
    """No broker yet: the worker lives, says so on /readyz, and begins by itself when the broker comes."""
    stage.set_up(partitions=2)
    stage.kafka.kill()
    worker = stage.worker("w1")
    wait_for(lambda: worker.get("/livez")[0] == 200, 20, "/livez", alive=[worker])
    stage.demand(worker.get("/readyz")[0] == 503, f"/readyz without a broker: {worker.get('/readyz')}")
    time.sleep(3)  # long enough for a worker that gives up to be gone
    stage.demand(worker.running(), f"ended with {worker.exit_code()}: {worker.last_lines()}")
    if stage.kafka.kind == "mock":
        stage.kafka.restart()
    else:
        stage.kafka.start()
        stage.kafka.wait_ready()
    back = now()
    stage.publish(events(20))
    stage.wait_done(stage.units(), UNAIDED_S)
    stage.note(f"first calls {now() - back:.1f} s after the broker came")
    stage.judge()


@scenario(brokers=("real", "mock"), timeout_s=120)
def redis_down(stage):
    """Redis gone for 5 s in mid-run, back with its data: nothing is sent meanwhile, then on; exactly once."""
    under_way(stage, 500 if stage.kafka.kind == "mock" else 1500, redis={"keep": True})
    stage.redis.kill()
    time.sleep(1.5)  # what had its claim and its grant may still go out
    quiet = stage.target.calls()
    time.sleep(3.5)  # the outage
    stage.demand(stage.target.calls() == quiet, f"{stage.target.calls() - quiet} calls were sent without Redis")
    stage.redis.start()
    goes_on(stage, now())
    stage.wait_done(stage.units(), 90)
    stage.judge()


@scenario(brokers=("real", "mock"), timeout_s=120)
def redis_frozen(stage):
    """Redis accepts but does not answer for 5 s: the same."""
    under_way(stage, 500 if stage.kafka.kind == "mock" else 1500)
    stage.redis.child.freeze()
    time.sleep(3)  # a round trip's deadline and what had its grant
    quiet = stage.target.calls()
    time.sleep(3)
    stage.demand(stage.target.calls() == quiet, f"{stage.target.calls() - quiet} calls were sent without Redis")
    stage.redis.child.thaw()
    goes_on(stage, now())
    stage.wait_done(stage.units(), 90)
    stage.judge()


@scenario(brokers=("real", "mock"), timeout_s=120)
def redis_down_at_start(stage):
    """No Redis yet: nothing is sent, the worker lives and is not ready; on by itself when Redis comes."""
    stage.set_up(partitions=2)
    stage.redis.kill()
    worker = stage.worker("w1")
    stage.publish(events(20))
    wait_for(lambda: worker.get("/livez")[0] == 200, 20, "/livez", alive=[worker])
    time.sleep(3)
    stage.demand(worker.running(), f"ended with {worker.exit_code()}: {worker.last_lines()}")
    stage.demand(worker.get("/readyz")[0] == 503, f"/readyz without Redis: {worker.get('/readyz')}")
    wait_for(lambda: "lanes that wait: redis" in worker.get("/readyz?verbose")[1], 20, "/readyz to say what lanes wait for")
    stage.demand(stage.target.calls() == 0, "sent without Redis")
    stage.redis.start()
    stage.wait_done(stage.units(), UNAIDED_S)
    stage.judge()


@scenario(brokers=("mock",), timeout_s=90)
def redis_full_when_calls_end(stage):
    """Out of memory between a call and its record: told again until Redis takes it, so nothing is called twice later."""
    stage.set_up(partitions=1, rules=[{"latency_ms": 500}])
    stage.fleet(1)
    stage.publish(events(5))
    stage.target.wait(40, calls=5)
    stage.redis.ask("CONFIG", "SET", "maxmemory", "1")
    stage.wait_drained()  # an accepted call counts, whatever Redis says
    stage.redis.ask("CONFIG", "SET", "maxmemory", "0")
    wait_for(lambda: all(stage.redis.ask("GET", k).startswith("D|") for k in stage.redis.keys("*:unit:*")), 20,
             "every unit to be recorded as done")
    stage.publish(events(5))
    stage.published = events(5)
    stage.wait_drained()
    stage.judge()


@scenario(brokers=("mock",), timeout_s=90)
def something_else_at_a_units_key(stage):
    """A list where the ledger wants a record: that unit is dead-lettered, not called, the lane goes on."""
    stage.set_up(partitions=1)
    stage.fleet(1)
    stage.publish(events(1))
    stage.wait_drained()
    key = stage.redis.keys("*:unit:*")[0]
    stage.redis.ask("DEL", key)
    stage.redis.ask("RPUSH", key, "x")
    stage.publish(events(4))
    stage.published = events(4)
    stage.wait_done(stage.units())
    wait_for(lambda: len(stage.dead()) == 1, 20, "a dead letter", 0.2)
    reason = stage.dead()["a/e-00000"]["headers"]["sluice-reason"]
    stage.demand(reason == "ledger-record", f"reason {reason}")
    stage.judge()
