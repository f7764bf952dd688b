"""What operators ask of a fleet that works: another configuration, a pause, a drain."""
import json
import os
import signal
import subprocess
import time

from harness import checker
from harness.config import to_yaml
from harness.proc import wait_for
from harness.registry import scenario
from harness.stage import events

BOTH = ("real", "mock")


# --- reload ---

def reload(stage, worker, text, said, timeout_s=10):
    """SIGHUP after its file says this; wait for the line about it."""
    before = worker.log().count(said)
    worker.write(text)
    worker.signal(signal.SIGHUP)
    wait_for(lambda: worker.log().count(said) > before, timeout_s, f"{worker.name} to say {said!r}", alive=[worker])


def successful(worker):
    return checker.total(worker.metrics(), "sluice_config_last_reload_successful")


@scenario(brokers=BOTH, timeout_s=150)
def reload_under_load(stage):
    """A target comes and another's settings change while 2 consumers work: each unit is called once."""
    stage.set_up(partitions=4, rules=[{"latency_ms": 10}])
    workers = stage.fleet(2)
    stream = stage.stream(events(20000), per_second=100)
    stage.target.wait(60, calls=100)
    old_hash = [w.log() for w in workers]
    for worker in workers:
        config = stage.config(worker.name, targets={"a": {"timeout": "4s"}}, batch={"size": 7})
        config["targets"]["b"] = dict(config["targets"]["a"], url=f"{stage.target.url}/b/${{event.app}}")
        reload(stage, worker, to_yaml(config), "1 target added, 1 target changed, 1 setting changed")
    stage.demand(all(" → " not in text for text in old_hash), "a reload before the first")
    stage.target.wait(60, calls=stage.target.calls() + 300)
    stream.cut()
    stage.wait_drained()
    requests = stage.target.requests()
    done = checker.done_calls(requests)
    a_units = [f"a/{e['id']}" for e in stage.published]
    b_units = [k for k in done if k.startswith("b/")]
    stage.demand(len(b_units) > 100, f"the new target was called {len(b_units)} times only")
    stage.judge(units=a_units + b_units)
    stage.demand(all(successful(w) == 1 for w in workers), "a reload is not said to be successful")
    stage.stop_all()


@scenario(brokers=BOTH, timeout_s=120)
def reload_of_a_bad_file_keeps_the_old(stage):
    """A file with a fault, and one that moves to another topic, are refused as a whole; then a good one is taken."""
    stage.set_up(partitions=2)
    worker = stage.fleet(1)[0]
    good = to_yaml(stage.config("w1"))
    reload(stage, worker, good.replace("timeout: 5s", "timeout: soon"), "the old configuration stays")
    stage.demand("SL-C05" in worker.log(), f"the fault has no code: {worker.last_lines()}")
    stage.demand(successful(worker) == 0, "the refused reload is said to be successful")
    moved = to_yaml(stage.config("w1", kafka={"topic": stage.topic + ".other"}, targets={"a": {"timeout": "1s"}}))
    reload(stage, worker, moved, "kafka.topic changed: restart to change it")
    stage.publish(events(50))
    stage.wait_done(stage.units())
    reload(stage, worker, good.replace("timeout: 5s", "timeout: 4s"), "1 target changed")
    stage.demand(successful(worker) == 1, "the good reload is not said to be successful")
    stage.publish(events(50, first=50))
    stage.wait_done(stage.units())
    stage.judge()
    stage.stop_all()


@scenario(brokers=BOTH, timeout_s=120)
def reload_rotates_a_secret(stage):
    """The file of a secret changes, SIGHUP, and calls carry the new one; nothing of it is in the log."""
    secret = os.path.join(stage.folder, "token")

    def hold(text):
        with open(secret, "w", encoding="utf-8") as f:
            f.write(text)

    stage.set_up(partitions=2)
    hold("first-token")
    changes = {"secrets": {"token": {"file": secret}}, "targets": {"a": {"headers": {"x-worker": "${secret.token}"}}}}
    worker = stage.worker("w1", **changes)
    stage.wait_group(started=[worker])
    stage.publish(events(20))
    stage.wait_done(stage.units())
    hold("second-token")
    reload(stage, worker, to_yaml(stage.config("w1", **changes)), "1 secret changed")
    stage.publish(events(20, first=20))
    stage.wait_done(stage.units())
    tokens = [r.worker for r in stage.target.requests()]
    stage.demand(tokens == ["first-token"] * 20 + ["second-token"] * 20, f"tokens: {tokens}")
    stage.demand("-token" not in worker.log(), "a secret is in the log")
    stage.judge()
    stage.stop_all()


# --- orders ---

def who_is_same(stage):
    """By `config diff`: does each consumer run what w1 has on disk? w2 never does, its header is another."""
    said = json.loads(order(stage, "config", "diff", "--json", code=1))
    return {consumer["id"]: consumer["same"] for consumer in said["consumers"]}


def order(stage, *words, code=0):
    """One operator's command, asked where w1 is configured, once each worker has said that it is there. Returns what
    it said."""
    times = f"sluice:ops:{{{stage.group}}}:beat-times"
    wait_for(lambda: stage.redis.ask("ZCARD", times) >= len(stage.alive()), 20, "each worker's heartbeat")
    done = subprocess.run([stage.consumer, *words, "-c", stage.workers["w1"].config_path], capture_output=True,
                          text=True, timeout=90)
    stage.demand(done.returncode == code, f"{' '.join(words)} gave {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


@scenario(brokers=BOTH, timeout_s=150)
def pause_holds_and_resume_delivers(stage):
    """Three consumers obey a pause within a second; the other target goes on; after a resume each unit is called once."""
    stage.set_up(targets=("a", "b"), delays=("1s", "2s"))
    stage.fleet(3)
    stream = stage.stream(events(20000), per_second=60)
    stage.target.wait(60, calls=100)
    said = order(stage, "pause", "a", "--reason", "INC-42")
    paused_ns = time.monotonic_ns()
    stage.demand("3 of 3 consumers obeyed" in said, said)
    stage.note(said.strip().replace("\n", "; "))
    stage.target.wait(60, calls=stage.target.calls() + 300)
    stream.cut()
    late = [r for r in stage.target.requests() if r.key.startswith("a/") and r.arrived_ns > paused_ns + 1e9]
    stage.demand(not late, f"{len(late)} calls to the paused target")
    stage.demand(all(checker.total(w.metrics(), "sluice_target_paused", target="a") == 1 for w in stage.alive()),
                 "a consumer does not show the pause")
    order(stage, "pause", "c", "--reason", "x", code=78)
    order(stage, "pause", "a", code=78)
    said = order(stage, "resume", "a", "--reason", "INC-42 is over")
    stage.demand("3 of 3 consumers obeyed" in said, said)
    order(stage, "resume", "a", code=1)
    stage.wait_done(stage.units())
    stage.judge()
    waited = [r for r in stage.target.requests() if r.key.startswith("a/") and r.arrived_ns > paused_ns + 1e9]
    stage.demand(len(waited) > 100, f"only {len(waited)} units waited")
    stage.stop_all()


@scenario(brokers=BOTH, timeout_s=120)
def a_pause_ends_by_itself(stage):
    """--for: without Redis too, the pause ends when its time is over; who starts in it obeys it."""
    stage.set_up(partitions=2, delays=("1s", "2s"))
    stage.fleet(1)
    order(stage, "pause", "a", "--for", "12s", "--reason", "deploy freeze")
    stage.workers["w1"].term()
    stage.workers["w1"].wait(25)
    worker = stage.worker("w1")
    stage.wait_group(started=[worker])
    stage.publish(events(20))
    wait_for(lambda: worker.verdicts("deferred") >= 20, 30, "20 units to be parked", alive=[worker])
    stage.demand(stage.target.calls() == 0, "the paused target was called")
    stage.wait_done(stage.units())
    stage.judge()
    stage.stop_all()


@scenario(brokers=BOTH, timeout_s=120)
def reload_is_asked_of_the_fleet(stage):
    """`reload --wait` says what each consumer did: one takes its file, another refuses it."""
    stage.set_up(partitions=2)
    workers = stage.fleet(2)
    workers[0].write(to_yaml(stage.config("w1", targets={"a": {"timeout": "4s"}})))
    workers[1].write(to_yaml(stage.config("w2", in_flight=3)))
    differ = who_is_same(stage)
    stage.demand(differ == {"w1": False, "w2": False}, f"before the reload config diff says {differ}")
    said = order(stage, "reload", "--wait", "--reason", "INC-43", code=1)
    stage.demand("1 target changed" in said, said)
    stage.demand("in_flight changed: restart to change it" in said, said)
    stage.note(said.strip().replace("\n", "; "))
    wait_for(lambda: who_is_same(stage) == {"w1": True, "w2": False}, 20, "config diff to see w1's reload", alive=workers)
    workers[1].write(to_yaml(stage.config("w2", targets={"a": {"timeout": "4s"}})))
    order(stage, "reload", "--wait")
    stage.publish(events(20))
    stage.wait_done(stage.units())
    stage.judge()
    stage.stop_all()


@scenario(brokers=("mock",), timeout_s=120)
def orders_after_redis_lost_its_memory(stage):
    """Orders are counted from 1 again: workers that obey one say so, though they said 1 before."""
    stage.set_up(partitions=2)
    workers = stage.fleet(2)
    for _ in range(2):
        said = order(stage, "pause", "a", "--reason", "INC-44")
        stage.demand("2 of 2 consumers obeyed" in said, said)
        stage.redis.ask("FLUSHALL")
        wait_for(lambda: len(stage.redis.ask("ZRANGE", f"sluice:ops:{{{stage.group}}}:beat-times", "0", "-1")) == 2, 20,
                 "both to beat again", alive=workers)
    said = order(stage, "reload", "--wait", "--reason", "INC-44")
    stage.demand("refused" not in said and "answered" not in said, said)
    stage.stop_all()


@scenario(brokers=("mock",), timeout_s=90)
def the_dead_are_forgotten(stage):
    """What killed consumers have said does not stay in Redis for ever; what the living say does."""
    stage.set_up(partitions=2)
    stage.fleet(1)
    key = f"sluice:ops:{{{stage.group}}}:control"
    for n in range(40):
        stage.redis.ask("HSET", key, f"seen:gone-{n}", "7", f"reloaded:gone-{n}", "{}")
    order(stage, "pause", "a", "--reason", "INC-45")
    order(stage, "resume", "a")
    fields = stage.redis.ask("HKEYS", key)
    stage.demand(sum("gone" in f for f in fields) < 80 and "seen:w1" in fields, f"fields: {fields}")
    wait_for(lambda: order(stage, "pause", "a", "--reason", "INC-45")
             and not [f for f in stage.redis.ask("HKEYS", key) if "gone" in f], 40, "all of them to be forgotten")
    stage.stop_all()


@scenario(brokers=BOTH, timeout_s=180)
def drain_and_back_under_load(stage):
    """`drain --wait`: a consumer ends its batches, leaves and stays; --undo brings it back; each unit is called once."""
    stage.set_up(partitions=4, rules=[{"latency_ms": 20}])
    stage.fleet(2)
    stream = stage.stream(events(20000), per_second=80)
    stage.target.wait(60, calls=100)
    said = order(stage, "drain", "w2", "--wait", "--reason", "kernel update")
    stage.note(said.strip().replace("\n", "; "))
    worker = stage.workers["w2"]
    stage.demand(worker.running(), "the drained consumer is gone")
    status, text = worker.get("/readyz")
    stage.demand(status == 503 and "drained" in text, f"/readyz says {status} {text}")
    stage.demand(worker.get("/livez")[0] == 200, "/livez does not say ok")
    calls = checker.total(worker.metrics(), "sluice_units_opened_total")
    stage.target.wait(60, calls=stage.target.calls() + 200)
    stage.demand(checker.total(worker.metrics(), "sluice_units_opened_total") == calls, "it works although it is drained")
    order(stage, "drain", "w3", code=78)
    order(stage, "drain", "w2", "--undo", "--wait")
    wait_for(worker.ready, 40, "w2 to be ready again", alive=[worker])
    wait_for(lambda: checker.total(worker.metrics(), "sluice_units_opened_total") > calls, 40, "w2 to work again",
             alive=[worker])
    unsent = stream.cut()
    stage.note(f"{unsent} events not needed")
    stage.wait_done(stage.units(), 90)
    stage.judge()
    stage.stop_all()


@scenario(brokers=BOTH, timeout_s=120)
def a_restart_ends_a_drain(stage):
    """A drained consumer ends on SIGTERM; the same name started anew works."""
    stage.set_up(partitions=2)
    worker = stage.fleet(1)[0]
    order(stage, "drain", "--all", "--wait")
    worker.term()
    stage.demand(worker.wait(25) == 0, f"the drained consumer ended with {worker.exit_code()}")
    stage.wait_group(started=[stage.worker("w1")])
    stage.publish(events(20))
    stage.wait_done(stage.units())
    stage.judge()
    stage.stop_all()
