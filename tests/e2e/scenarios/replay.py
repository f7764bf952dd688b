"""Events once more: the plan is what happens, nothing that was triggered is triggered again unless told to."""
import collections
import datetime
import json
import os
import signal

from harness.operator import ask, begin
from harness.proc import wait_for
from harness.registry import scenario
from harness.stage import event, events

from .deadletters import moved


def wall(stage):
    """Now, as RFC 3339."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")


def calls(stage, path):
    return collections.Counter(r.key for r in stage.target.requests() if r.path.startswith(path) and r.answer == 200)


def plan(stage, *words, code=0):
    return json.loads(ask(stage, "replay", "--json", *words, code=code)[0])


def new_target(stage, before, after):
    """Events before and after a moment are worked for target a; then the fleet learns of target b. Returns the moment."""
    stage.set_up(partitions=4, delays=["2s", "4s"])
    stage.kafka.create_topic(f"{stage.topic}.{stage.group}.retry.1s", 3, **{"message.timestamp.type": "LogAppendTime"})
    stage.fleet(1)
    stage.publish(events(before))
    stage.wait_drained(60)
    moment = wall(stage)
    stage.publish(events(after, first=500))
    stage.wait_done(stage.units(), 60)
    stage.wait_drained(60)
    stage.stop_all()
    stage.target_names = ("a", "b")
    stage.workers.clear()
    stage.fleet(2, first=3)
    return moment


@scenario(timeout_s=180)
def replay_by_time(stage):
    """30 events, then 20; a new target; --since the moment between, by Kafka's time index: plan, topic and target agree on the 20."""
    moment = new_target(stage, 30, 20)
    seen = plan(stage, "--since", moment)
    stage.demand((seen["events"], seen["units"], seen["already_triggered"], seen["would_send"]) == (20, 40, 20, 20),
                 f"the plan: {seen}")
    stage.demand(seen["group_state"] == "Stable" and seen["members"] == 2, f"the group: {seen}")
    stage.demand(moved(stage) == 0, "a plan sent something")
    done = plan(stage, "--since", moment, "--into", "topic", "--yes", "--rate", "50/s")
    stage.demand((done["sent"], done["triggered"], done["waiting"]) == (20, 20, 0), f"the result: {done}")
    wanted = {f"b/{e['id']}": 1 for e in events(20, first=500)}
    stage.demand(calls(stage, "/b/") == wanted, f"b was called for {sorted(calls(stage, '/b/'))[:5]}...")
    stage.demand(moved(stage) == 20, f"{moved(stage)} records in the redrive topic")
    again = plan(stage, "--since", moment, "--into", "topic", "--yes")
    stage.demand(again["would_send"] == 0 and again["already_triggered"] == 40, f"once more: {again}")
    twice = [k for k, n in calls(stage, "/").items() if n != 1]
    stage.demand(not twice, f"triggered twice: {twice}")
    nothing = plan(stage, "--since", wall(stage))
    stage.demand(nothing["events"] == 0, f"from now on: {nothing}")
    until = plan(stage, "--since", "1h", "--to", moment, "--target", "b")
    stage.demand((until["events"], until["would_send"]) == (30, 30), f"up to the moment: {until}")


@scenario(timeout_s=240)
def replay_killed_in_the_middle(stage):
    """kill -9 amid the sending, twice, and --resume: each unit is in the redrive topic once, and triggered once."""
    moment = new_target(stage, 5, 30)
    child = begin(stage, "replay", "--since", moment, "--into", "topic", "--rate", "3/s", "--yes")
    for round_ in range(2):
        seen = moved(stage)
        wait_for(lambda: child.poll() is not None or moved(stage) >= seen + 4, 60, "some units to be sent", 0.05)
        stage.demand(child.poll() is None, f"round {round_}: it ended with {child.returncode}")
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        faster = ["--rate", "50/s"] if round_ == 1 else []
        child = begin(stage, "replay", "--resume", "r-0001", "--json", *faster)
    out, _ = child.communicate(timeout=90)
    stage.demand(child.returncode == 0, f"the last resume ended with {child.returncode}: {out}")
    stage.demand(moved(stage) == 30, f"{moved(stage)} records in the redrive topic")
    wanted = {f"b/{e['id']}": 1 for e in events(30, first=500)}
    stage.wait_done(list(wanted), 30)
    stage.demand(calls(stage, "/b/") == wanted, f"b was called for {len(calls(stage, '/b/'))} units")


@scenario(brokers=("real", "mock"), timeout_s=120)
def replay_sends_again_on_purpose(stage):
    """--resend-delivered: each is triggered once more, under a key of its own, and only once; without it nothing is."""
    stage.set_up(partitions=1, delays=["2s"])
    stage.kafka.create_topic(f"{stage.topic}.{stage.group}.retry.1s", 3, **{"message.timestamp.type": "LogAppendTime"})
    stage.fleet(1)
    stage.publish(events(8))
    stage.wait_done(stage.units(), 60)
    stage.wait_drained(60)
    none = plan(stage, "--from", "p0@2", "--to", "p0@5", "--into", "topic", "--yes")
    stage.demand(none["would_send"] == 0 and none["already_triggered"] == 3, f"skipped: {none}")
    text, said = ask(stage, "replay", "--from", "p0@2", "--to", "p0@5", "--resend-delivered", "--into", "topic", "--yes")
    stage.demand("TRIGGERED AGAIN" in text and "3 triggered" in text, f"it says {text} {said}")
    got = calls(stage, "/a/")
    wanted = {f"a/e-0000{n}": 1 for n in range(8)} | {f"a/e-0000{n}/r-0001": 1 for n in range(2, 5)}
    stage.demand(got == wanted, f"called: {sorted(got.items())}")


@scenario(timeout_s=150)
def replay_into_the_group(stage):
    """Moving the group: refused while it has members, naming them; then done, and what was triggered stays so."""
    stage.set_up(partitions=3, delays=["2s"])
    stage.fleet(2)
    stage.publish(events(40))
    stage.wait_done(stage.units(), 60)
    stage.wait_drained(60)
    before = stage.kafka.client.committed(stage.group, stage.topic, 3)
    _, said = ask(stage, "replay", "--since", "1h", "--into", "group", "--yes", code=75)
    stage.demand("2 members" in said and "w1" in said and "w2" in said and "--into topic" in said, f"it says {said}")
    stage.demand(stage.kafka.client.committed(stage.group, stage.topic, 3) == before, "it moved all the same")
    stage.stop_all()
    seen = plan(stage, "--since", "1h", "--into", "group", "--yes")
    after = stage.kafka.client.committed(stage.group, stage.topic, 3)
    stage.demand(seen["state"] == "moved" and all(o == 0 for o in after.values()), f"committed {after}: {seen}")
    stage.fleet(1, first=3)
    stage.wait_drained(60)
    stage.judge()


@scenario(brokers=("mock",), timeout_s=60)
def replay_where_there_is_no_time_index(stage):
    """The mock cluster knows no times: said, with the way out, instead of a plan that is wrong."""
    stage.set_up(partitions=2, delays=["2s"])
    stage.fleet(1)
    stage.publish(events(10))
    stage.wait_done(stage.units(), 30)
    stage.wait_drained(30)
    _, said = ask(stage, "replay", "--since", "1h", code=78)
    stage.demand("cannot look up offsets by time" in said and "--from p" in said, f"it says {said}")
    seen = plan(stage, "--from", "p0@0")
    stage.demand(seen["already_triggered"] == seen["units"] > 0, f"by place: {seen}")


@scenario(timeout_s=90)
def replay_passes_what_is_too_large(stage):
    """An event that may not be sent with its new headers does not keep those behind it from being sent."""
    stage.set_up(partitions=1, delays=["2s", "4s"])
    stage.fleet(1)
    stage.publish([event(0), event(1, note="n" * 5000), event(2)])
    stage.wait_done(stage.units())
    stage.wait_drained(60)
    out, said = ask(stage, "replay", "--json", "--since", "1h", "--into", "topic", "--resend-delivered", "--yes", "-X",
                    "message.max.bytes=4000")
    done = json.loads(out)
    stage.demand((done["sent"], done["too_large"]) == (2, 1) and "too large" in said, f"{out} {said}")
    stage.stop_all()
