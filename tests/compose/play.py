"""The scenarios on the running project, each under load. A function is one check; its docstring names it."""
import time

from harness import checker
from harness.proc import wait_for

from stage import BURST, RATE, RECORDED_MS, demand

EXCUSED_ON_LOSS = 60  # calls whose claim went with Redis' memory before their offsets were committed
PAUSE_S = 20
RESUME_S = 30  # what comes back is used again by then


def scale_and_kill(stage):
    """2, 6 and 3 consumers under load, one of the 6 killed: nothing lost, doubles explained"""
    stage.scale(2)
    stage.start_load()
    stage.more_calls(100)
    stage.scale(6)
    stage.more_calls(100)
    victim = stage.kill_one()
    stage.more_calls(100)
    stage.wait_members(5)
    stage.scale(3)
    stage.more_calls(100)
    stage.cut_load()
    excuse = stage.excuses[0]
    open_calls = {r.key for r in stage.requests() if r.worker == victim and checker.is_done(r)
                  and r.arrived_ns <= excuse.end_ns and r.answered_ns >= excuse.begin_ns}
    stage.judge(len(open_calls))
    stage.notes.append(f"the killed one had {len(open_calls)} calls open")


def replace(stage):
    """3 consumers replaced by new ones under load: nothing lost, nothing doubled"""
    stage.scale(3)
    old = set(stage.project.ids("consumer"))
    stage.start_load()
    stage.more_calls(100)
    began = time.monotonic()
    stage.project.compose("up", "-d", "--no-deps", "--force-recreate", "--scale", "consumer=3", "consumer")
    stage.wait_members(3)
    took = time.monotonic() - began
    demand(not old & set(stage.project.ids("consumer")), "a consumer was not replaced")
    stage.more_calls(100)
    stage.cut_load()
    stage.judge(0)
    stage.notes.append(f"replaced in {took:.1f} s")


def under_load(stage, fault, excused_max):
    """Load, the fault, and calls again by themselves; the backlog is then worked off at the limit."""
    stage.start_load()
    stage.more_calls(100)
    before = stage.lives()
    fault()
    ended_ns = time.monotonic_ns()
    stage.more_calls(50, RESUME_S + 10)
    longest, resumed = stage.silence_s(ended_ns)
    demand(resumed <= RESUME_S, f"calls came again only after {resumed:.1f} s")
    stage.cut_load()
    excess = stage.judge(excused_max)
    demand(stage.lives() == before, "a consumer was restarted")
    stage.notes.append(f"no call for {longest:.1f} s, worst window {excess + RATE:+.1f} against {BURST} + {RATE} * T")


def restart_kafka(stage):
    """Kafka restarted under load: resumes unaided, nothing lost, nothing doubled, limit held"""
    def restart():
        stage.project.compose("restart", "kafka")
        wait_for(stage.kafka.answers, 60, "Kafka to answer again", pause_s=0.2)
    under_load(stage, restart, 0)


def excuse_all(stage, began_ns, before_ms):
    stage.excuses.append(checker.Excuse(None, began_ns - before_ms * checker.MS, time.monotonic_ns(), "Redis was away"))


def restart_redis(stage):
    """Redis restarted under load, its memory lost: resumes unaided, doubles explained, limit held"""
    def restart():
        began = time.monotonic_ns()
        stage.project.compose("restart", "redis")
        excuse_all(stage, began, 2000)
    under_load(stage, restart, EXCUSED_ON_LOSS)


def pause_redis(stage):
    """Redis paused for 20 s under load: nothing is sent, then resumes unaided, nothing doubled, limit held"""
    def pause():
        stage.project.compose("pause", "redis")
        paused = time.monotonic_ns()
        try:
            time.sleep(PAUSE_S)  # the fault itself
        finally:
            ended = time.monotonic_ns()
            stage.project.compose("unpause", "redis")
        sent = [r for r in stage.requests() if paused + 3_000 * checker.MS < r.arrived_ns < ended]
        demand(not sent, f"{len(sent)} calls without a limiter")
    under_load(stage, pause, 0)
