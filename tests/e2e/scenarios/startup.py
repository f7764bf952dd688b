"""What is wrong at the start is said in a sentence that names the next step, with a sysexits code, and no loop."""
import os
import re
import shutil
import subprocess

from harness.gate import SASL_HANDSHAKE, Gate
from harness.proc import Skip, free_port, wait_for
from harness.registry import scenario
from harness.stage import events

USAGE, UNAVAILABLE, REFUSED, CONFIG = 64, 69, 77, 78
NO_INPUT = 66


def ends(stage, worker, codes, *words, within_s=40):
    code = worker.wait(within_s)
    stage.demand(code in codes, f"exit {code}, not one of {codes}: {worker.last_lines()}")
    missing = [w for w in words if not re.search(w, worker.log())]
    stage.demand(not missing, f"the message does not say {missing}: {worker.last_lines(6)}")
    stage.note(f"exit {code}")


@scenario(timeout_s=90)
def topic_missing(stage):
    """The source topic is not there: said, with the command that makes it."""
    stage.set_up(topics=False)
    worker = stage.worker("w1")
    ends(stage, worker, (UNAVAILABLE, CONFIG), re.escape(stage.topic), "topics ensure")


@scenario(timeout_s=90)
def authentication_refused(stage):
    """A wrong SASL password: said, exit 77."""
    stage.set_up(changes={"kafka": {"brokers": [stage.kafka.sasl_bootstrap], "properties": {
        "security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN", "sasl.username": "sluice",
        "sasl.password": "wrong-password-marker"}}})
    worker = stage.worker("w1")
    ends(stage, worker, (REFUSED,), "uthenticat")
    stage.demand("wrong-password-marker" not in worker.log(), "the password is in the log")


@scenario(timeout_s=90)
def authentication_accepted(stage):
    """The right one: works."""
    stage.set_up(partitions=2, changes={"kafka": {"brokers": [stage.kafka.sasl_bootstrap], "properties": {
        "security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN", "sasl.username": "sluice",
        "sasl.password": "right-password"}}})
    stage.fleet(1)
    stage.publish(events(10))
    stage.wait_done(stage.units())
    stage.judge()


@scenario(timeout_s=90)
def authentication_broken_off(stage):
    """The connection ends in the middle of the authentication, as it does while a broker restarts: tried again, not given up."""
    gate = stage.also(Gate(stage.kafka.sasl_port, SASL_HANDSHAKE, 8))
    stage.set_up(partitions=2, changes={"kafka": {"brokers": [f"127.0.0.1:{gate.port}"], "properties": {
        "security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN", "sasl.username": "sluice",
        "sasl.password": "right-password"}}})
    stage.fleet(1)
    stage.publish(events(10))
    stage.wait_done(stage.units())
    stage.demand(gate.broken == 8, f"{gate.broken} connections were broken off, not 8")
    stage.judge()


@scenario(brokers=("mock",), timeout_s=60)
def group_empty(stage):
    """kafka.group is empty: exit 78 and the place in the file."""
    stage.set_up(changes={"kafka": {"group": ""}})
    ends(stage, stage.worker("w1"), (CONFIG,), r"w1\.yaml:\d+:\d+", "kafka.group")


@scenario(brokers=("mock",), timeout_s=60)
def batch_size_zero(stage):
    """A batch size of 0 is refused: exit 78 and the place in the file."""
    stage.set_up(changes={"batch": {"size": 0}})
    ends(stage, stage.worker("w1"), (CONFIG,), r"w1\.yaml:\d+:\d+", "batch.size")


@scenario(brokers=("mock",), timeout_s=60)
def secret_unreadable(stage):
    """A secret file that is not there: named, with the secret's name."""
    path = os.path.join(stage.folder, "no-such-secret")
    stage.set_up(changes={"secrets": {"tok": {"file": path}},
                          "targets": {"a": {"headers": {"authorization": "Bearer ${secret.tok}"}}}})
    ends(stage, stage.worker("w1"), (NO_INPUT, CONFIG), "tok", "no-such-secret")


@scenario(brokers=("mock",), timeout_s=60)
def redis_password_wrong(stage):
    """Redis asks for a password that is not given: said; nothing is sent."""
    stage.set_up(redis={"password": "p"})
    worker = stage.worker("w1")
    try:
        wait_for(lambda: "NOAUTH" in worker.log() or not worker.running(), 30, "a word on NOAUTH")
    finally:
        stage.note("ended with %s" % worker.exit_code() if not worker.running() else "waits")
    stage.demand(re.search("NOAUTH|uthentic", worker.log()), f"not said: {worker.last_lines()}")
    stage.demand(worker.exit_code() in (None, REFUSED), f"exit {worker.exit_code()}")


@scenario(brokers=("mock",), timeout_s=60)
def redis_that_evicts(stage):
    """A Redis that may evict keys is refused, with the way out; redis.allow_eviction takes it."""
    stage.set_up(partitions=1)
    stage.redis.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    ends(stage, stage.worker("w1"), (CONFIG,), "maxmemory-policy noeviction", "redis.allow_eviction")
    stage.worker("w2", redis={"url": stage.redis.url, "allow_eviction": True}).wait_ready()


@scenario(timeout_s=90)
def done_ttl_below_retention(stage):
    """A ledger that forgets sooner than the topic does: warned at the start, and it works."""
    stage.set_up(partitions=1, changes={"ledger": {"done_ttl": "3h"}})
    worker = stage.fleet(1)[0]
    worker.wait_log("ledger.done_ttl is shorter than the topic's retention")
    stage.demand('"msg":"memory bound"' in worker.log(), "the memory bound is not in the log")


@scenario(brokers=("mock",), timeout_s=60)
def metrics_pass_promtool(stage):
    """Prometheus' own linter has nothing to say about /metrics after some calls, dead letters and skips."""
    if not shutil.which("promtool"):
        raise Skip("no promtool here (Debian package prometheus)")
    stage.set_up(partitions=1, rules=[{"key": "e-00001", "status": 404}])
    worker = stage.fleet(1)[0]
    stage.publish(events(5) + [{"id": "x", "app": "x", "status": "failed"}])
    stage.wait_drained()
    said = subprocess.run(["promtool", "check", "metrics"], input=worker.get("/metrics")[1].encode(), capture_output=True)
    stage.demand(said.returncode == 0 and not said.stderr, f"promtool: {said.stderr.decode()[:300]}")


@scenario(brokers=("mock",), timeout_s=60)
def two_on_one_host(stage):
    """Two workers with the same http.listen: the second takes the next free port and says which."""
    port = free_port()
    stage.set_up(partitions=2)
    workers = [stage.worker(name, http={"listen": f"127.0.0.1:{port}"}) for name in ("w1", "w2")]
    for worker in workers:
        worker.wait_log('"msg":"admin port')
        worker.port = int(re.search(r'"msg":"admin port.*"port":(\d+)', worker.log()).group(1))
        worker.wait_ready()
    ports = sorted(w.port for w in workers)
    stage.demand(ports[0] == port and ports[1] > port, f"ports {ports}, asked for {port}")
