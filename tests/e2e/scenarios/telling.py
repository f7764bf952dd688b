"""What the fleet tells about single events, and about what it rests on: trace, tap, doctor."""
import json

from harness.operator import ask
from harness.proc import wait_for
from harness.registry import scenario
from harness.stage import event, events

REFUSED, UNAVAILABLE, CONFIG = 77, 69, 78


def trace(stage, event_id):
    return json.loads(ask(stage, "trace", "--json", event_id)[0])


@scenario(brokers=("real", "mock"), timeout_s=90)
def the_life_of_an_event(stage):
    """Each call of an event over its rounds is told, with what came back, and how it ended for each target."""
    stage.set_up(partitions=2, targets=("a", "b"), delays=["1s", "2s"],
                 rules=[{"path": "/b/", "attempts": [1, 2], "status": 503}],
                 changes={"targets": {"b": {"retry": {"hold": "0ms", "backoff": "1ms..1ms", "budget": "1h"}}}})
    stage.fleet(1)
    stage.publish(events(3))
    stage.wait_done(stage.units(), 60)
    wait_for(lambda: all(u["verdict"] == "triggered" for u in trace(stage, "e-00001")["units"]), 20, "the story's end", 0.2)
    story = trace(stage, "e-00001")
    tries = [(s["target"], s["status"]) for s in story["steps"] if s["what"] == "try"]
    stage.demand(tries == [("a", 200), ("b", 503), ("b", 503), ("b", 200)] or
                 tries == [("b", 503), ("a", 200), ("b", 503), ("b", 200)], f"tries: {tries}")
    times = [s["at_ms"] for s in story["steps"]]
    stage.demand(times == sorted(times), f"steps are not in the order of time: {times}")
    stage.demand(story["repo"] == event(1)["repo"], f"repo: {story.get('repo')}")
    text = ask(stage, "trace", "e-00001")[0]
    for word in ("published", "waiting", "try 1", "503 http_503", "a: triggered, 1 call", "b: triggered, 3 calls"):
        stage.demand(word in text, f"\"{word}\" is not said: {text}")
    stage.demand("no-such-event" in ask(stage, "trace", "no-such-event", code=1)[1], "what is not known is not said")


@scenario(brokers=("mock",), timeout_s=90)
def deliveries_as_they_happen(stage):
    """tap shows how units ended, filtered; a hostile repository moves no terminal."""
    stage.set_up(partitions=2, targets=("a", "b"), rules=[{"path": "/b/", "status": 404}])
    stage.fleet(1)
    stage.publish([*events(5), event(9, repo="<img src=x>/\u00e9")])
    stage.wait_drained(60)

    def rows(*filters):
        return [json.loads(line) for line in ask(stage, "tap", "--json", "--for", "700ms", *filters)[0].splitlines()]
    wait_for(lambda: len(rows()) >= 12, 20, "12 deliveries", 0.2)
    dead = rows("--verdict", "failed")
    stage.demand({r["target"] for r in dead} == {"b"} and {r["reason"] for r in dead} == {"http_404"}, f"failed: {dead}")
    stage.demand(len(rows("--target", "a", "-n", "2")) == 2, "-n 2 did not show two")
    stage.demand(len(rows("--repo", "<img*")) == 2, "the glob on the repository found no two")
    stage.demand("b dead " in ask(stage, "tap", "--verdict", "dead", "--for", "300ms")[0], "no dead delivery as text")


@scenario(brokers=("real", "mock"), timeout_s=90)
def what_the_fleet_rests_on(stage):
    """doctor: all well; then one cause is one line, what rests on it is skipped, and the exit code says what kind."""
    stage.set_up(partitions=2)
    stage.fleet(1)

    def marks(*words, code=0):
        checks = json.loads(ask(stage, "doctor", "--json", "--timeout", "3s", *words, code=code)[0])["checks"]
        return {c["name"]: c["mark"] for c in checks}
    well = marks()
    stage.demand(set(well.values()) <= {"ok", "warning"}, f"not well: {well}")
    stage.demand(not stage.target.requests(), "the doctor called the target")
    gone = marks("--set", "kafka.brokers=[127.0.0.1:1]", "--set", "redis.url=redis://127.0.0.1:1", code=UNAVAILABLE)
    for name, mark in {"kafka": "failed", "topic": "skipped", "group": "skipped", "redis": "failed", "eviction": "skipped",
                       "target a": "ok"}.items():
        stage.demand(gone[name] == mark, f"{name} is {gone[name]}, not {mark}")
    stage.demand(marks("--set", "kafka.topic=nobody.made.this", code=CONFIG)["topic"] == "failed", "a topic that is not there")
    stage.demand(marks("--set", "targets.a.url=http://169.254.169.254/x", code=REFUSED)["target a"] == "failed",
                 "a forbidden address")


@scenario(brokers=("real", "mock"), timeout_s=90)
def a_dead_event_after_redis_was_wiped(stage):
    """What a dead letter carries in its headers tells its tries, who made them and why it died, without Redis' help."""
    stage.set_up(partitions=1, rules=[{"path": "/a/", "status": 503}], delays=["1s"],
                 changes={"targets": {"a": {"retry": {"hold": "1ms", "backoff": "1ms..1ms", "budget": "2s"}}}})
    stage.fleet(1)
    stage.publish(events(1))
    wait_for(lambda: stage.dead(), 40, "the dead letter", 0.3)
    before = trace(stage, "e-00000")
    stage.redis.ask("FLUSHALL")
    story = trace(stage, "e-00000")
    stage.demand(before["source"] == "history" and story["source"] == "dead-letter", f"sources: {before['source']}, {story['source']}")

    def tries(of):
        return [(s["status"], s["text"], s["consumer"]) for s in of["steps"] if s["what"] == "try"]
    stage.demand(tries(story) == tries(before) and len(tries(story)) >= 2, f"{tries(before)}, then {tries(story)}")
    stage.demand(story["units"][0]["verdict"] == "dead" and story["repo"] == event(0)["repo"], f"units: {story}")
