"""One limit over the whole fleet: never above, and used while there is work."""
import time

from harness import checker
from harness.registry import scenario
from harness.stage import events

RATE, BURST, GRANT_LIFE_S = 50, 10, 1.0
LIMITED = {"limits": {"river": {"rate": f"{RATE}/s", "burst": BURST}}, "targets": {"a": {"limits": ["river"]}}}
COUNT = 1100  # 22 s of work
SETTLED_S = 2.0  # after a start or a lost bucket, before use is measured


def under_way(stage, **set_up):
    stage.set_up(changes=LIMITED, **set_up)
    stage.fleet(3)
    stage.publish(events(COUNT))
    stage.target.wait(40, calls=1)


def times(stage):
    return [r.arrived_ns for r in stage.target.requests()]


def judge_rate(stage, begins_ns):
    """No window of any length above the bound; >= 99 % used from each begin to the next, or to 85 % of all calls."""
    arrived = sorted(times(stage))
    excess = checker.rate_excess(arrived, RATE, BURST, GRANT_LIFE_S)
    stage.demand(excess <= 0, f"the worst window has {excess:.1f} calls more than burst + rate * (T + grant life)")
    without_life = checker.rate_excess(arrived, RATE, BURST, 0)
    ends = begins_ns[1:] + [(arrived[int(len(arrived) * 0.85)], 0)]
    for (begin, settle_s), (end, _) in zip(begins_ns, ends):
        used = checker.rate_used(arrived, begin + int(settle_s * 1e9), end, RATE)
        stage.note(f"{used * 100:.1f} % used")
        stage.demand(used >= 0.99, f"only {used * 100:.1f} % of the limit used while saturated")
    stage.note(f"worst window {without_life:+.1f} calls against burst + rate * T")


@scenario(timeout_s=120)
def over_three_consumers(stage):
    """50/s, burst 10, three consumers: no window above the bound, 99 % used while saturated."""
    under_way(stage)
    stage.wait_done(stage.units(), 60)
    judge_rate(stage, [(times(stage)[0], SETTLED_S)])
    stage.judge()
    stage.stop_all()


@scenario(timeout_s=120)
def through_flushall(stage):
    """The same with FLUSHALL in mid-run."""
    under_way(stage)
    stage.target.wait(60, calls=COUNT // 2)
    stage.redis.ask("FLUSHALL")
    flushed = time.monotonic_ns()
    stage.excuse(None, "FLUSHALL", before_ms=2000, until_ns=flushed)
    stage.wait_done(stage.units(), 60)
    judge_rate(stage, [(times(stage)[0], SETTLED_S), (flushed, SETTLED_S)])
    stage.judge(excused_max=60)


@scenario(timeout_s=120)
def through_a_redis_restart(stage):
    """The same with a Redis that is killed and comes back empty."""
    under_way(stage)
    stage.target.wait(60, calls=COUNT // 2)
    killed = time.monotonic_ns()
    stage.redis.restart()
    stage.excuse(None, "Redis came back empty", before_ms=2000)
    stage.wait_done(stage.units(), 60)
    judge_rate(stage, [(times(stage)[0], SETTLED_S), (killed, SETTLED_S + 2)])
    stage.judge(excused_max=60)


@scenario(brokers=("mock",), timeout_s=90)
def on_the_mock(stage):
    """The bound alone, shorter, where the mock cluster suffices."""
    stage.set_up(changes=LIMITED)
    stage.fleet(2)
    stage.publish(events(300))
    stage.wait_done(stage.units(), 60)
    excess = checker.rate_excess(times(stage), RATE, BURST, GRANT_LIFE_S)
    stage.demand(excess <= 0, f"the worst window has {excess:.1f} calls too many")
    stage.judge()
