"""Kafka over TLS with the least ACLs: what works, and that each fault is one line with the next step and no loop."""
import re
import shutil
import subprocess

from harness.door import TlsDoor
from harness.kafka import WORKER, WORKER_PASSWORD
from harness.proc import wait_for
from harness.registry import scenario
from harness.secrets import Secrets
from harness.stage import events

REFUSED = 77
CPU_S_MAX = 2.0  # of a worker that starts and waits: a loop would use far more


def sasl_ssl(stage, **changes):
    """How a worker logs in with a password, over TLS."""
    return {"brokers": [stage.kafka.secure_bootstrap], "properties": {
        "security.protocol": "sasl_ssl", "ssl.ca.location": stage.kafka.secrets.path("ca.crt"), "sasl.mechanism": "PLAIN",
        "sasl.username": WORKER, "sasl.password": "${secret.kafka}", **changes}}


def mutual(stage, secrets=None):
    """How a worker shows a certificate instead."""
    own = secrets or stage.kafka.secrets
    return {"brokers": [stage.kafka.mutual_bootstrap], "properties": {
        "security.protocol": "ssl", "ssl.ca.location": stage.kafka.secrets.path("ca.crt"),
        "ssl.certificate.location": own.path("sluice.crt"), "ssl.key.location": own.path("sluice.key")}}


def rules(stage):
    """The least ACLs of a worker, as compose/secure/README.md lists them."""
    side = f"{stage.topic}.{stage.group}."
    return {"source": ("topic", "literal", stage.topic, "read"), "group": ("group", "literal", stage.group, "read"),
            "side-read": ("topic", "prefixed", side, "read"), "side-write": ("topic", "prefixed", side, "write"),
            "side-create": ("topic", "prefixed", side, "create")}


def set_up(stage, kafka=sasl_ssl, without=None, who=WORKER, **options):
    """Only the source topic is there: the worker makes the others, if it may."""
    stage.set_up(partitions=2, topics=False, **options)
    stage.changes["kafka"] = kafka(stage)
    with open(f"{stage.folder}/password", "w", encoding="ascii") as f:
        f.write(WORKER_PASSWORD)
    stage.changes["secrets"] = {"kafka": {"file": f"{stage.folder}/password"}}
    stage.kafka.create_topic(stage.topic, 2)
    stage.kafka.client.allow(who, [rule for name, rule in rules(stage).items() if name != without])


def is_refused(stage, *words, code=REFUSED):
    """It ends with this code, and says so in one line that has all of the words."""
    worker = stage.worker("w1")
    ended = wait_for(lambda: not worker.running() or worker.cpu_s() > CPU_S_MAX, 40, "the worker to end")
    stage.demand(ended and worker.exit_code() == code, f"exit {worker.exit_code()}, not {code}: {worker.last_lines(6)}")
    errors = [line for line in worker.log().splitlines() if '"level":"error"' in line]
    stage.demand(len(errors) == 1 and all(re.search(w, errors[0]) for w in words), f"not one line with {words}: {errors}")
    stage.demand(WORKER_PASSWORD not in worker.log(), "the password is in the log")
    stage.note(f"{len(worker.log().splitlines())} lines in all")


def works(stage):
    """Done at once, parked until a retry, dead: all three."""
    stage.fleet(2)
    stage.publish(events(40))
    stage.wait_done([u for u in stage.units() if u != "a/e-00004"])
    wait_for(stage.dead, 30, "a dead letter", 0.3)
    stage.judge(dead=stage.dead())


PARKING = {"rules": [{"key": "e-00003", "attempts": [1, 1], "status": 503}, {"key": "e-00004", "status": 404}],
           "changes": {"targets": {"a": {"retry": {"hold": "0s", "budget": "60s"}}}}}


@scenario(timeout_s=90)
def least_acls_suffice(stage):
    """A password over TLS and exactly the listed ACLs: also the retry and dead-letter topics are made and used."""
    set_up(stage, **PARKING)
    works(stage)
    made = subprocess.run([stage.producer, "topics", "ensure", "-c", stage.workers["w1"].config_path], capture_output=True,
                          text=True, timeout=30)
    stage.demand(made.returncode == 0, f"topics ensure, as the same user: {made.stderr[-300:]}")


@scenario(timeout_s=90)
def client_certificate_suffices(stage):
    """The same with a client certificate instead of a password."""
    set_up(stage, mutual, who="certificate-sluice", **PARKING)
    works(stage)


@scenario(timeout_s=60)
def password_wrong(stage):
    """Another password than Kafka knows."""
    set_up(stage, lambda s: sasl_ssl(s, **{"sasl.password": "wrong-password-marker"}))
    is_refused(stage, "Authentication failed", "check sasl.username and sasl.password")
    stage.demand("wrong-password-marker" not in stage.workers["w1"].log(), "the password is in the log")


@scenario(timeout_s=60)
def authority_unknown(stage):
    """The broker's certificate is signed by somebody else than ssl.ca.location says."""
    other = Secrets(f"{stage.folder}/other")
    set_up(stage, lambda s: sasl_ssl(s, **{"ssl.ca.location": other.path("ca.crt")}))
    is_refused(stage, "broker's certificate is not trusted", "issuer|self-signed", "ssl.ca.location")


@scenario(timeout_s=60)
def client_certificate_expired(stage):
    """Ours is over."""
    own = Secrets(f"{stage.folder}/own")
    for name in ("ca.crt", "ca.key"):
        shutil.copy(stage.kafka.secrets.path(name), own.path(name))
    own.expire("sluice")
    set_up(stage, lambda s: mutual(s, own))
    is_refused(stage, "does not take our certificate", "ssl.certificate.location")


@scenario(timeout_s=60)
def broker_certificate_expired(stage):
    """The broker's is over."""
    door = stage.also(TlsDoor(stage.kafka.secrets, f"{stage.folder}/expired"))
    set_up(stage, lambda s: {**sasl_ssl(s), "brokers": [f"localhost:{door.port}"]})
    is_refused(stage, "broker's certificate is not trusted: certificate has expired")


@scenario(timeout_s=60)
def acl_source_missing(stage):
    """The source topic may not be read."""
    set_up(stage, without="source")
    is_refused(stage, f'{re.escape(stage.topic)}.* is not there for us', "ACL Read", "topics ensure")


@scenario(timeout_s=60)
def acl_group_missing(stage):
    """The group may not be joined."""
    set_up(stage, without="group")
    is_refused(stage, "Group authorization failed", "compose/secure/README.md")


@scenario(timeout_s=60)
def acl_create_missing(stage):
    """The retry and dead-letter topics may not be made, and are not there."""
    set_up(stage, without="side-create")
    is_refused(stage, "retry.*Authorization failed", "ACL Create", "topics ensure")


@scenario(timeout_s=60)
def acl_side_read_missing(stage):
    """The retry topics may not be read."""
    set_up(stage, without="side-read")
    is_refused(stage, r"topic \S+\.retry\.\S+ .*Topic authorization failed", "compose/secure/README.md")


@scenario(timeout_s=90)
def acl_write_missing(stage):
    """Nothing may be parked: nothing is lost, the partition waits and says why, without a loop; and goes on when it may."""
    set_up(stage, without="side-write", **PARKING)
    worker = stage.fleet(1)[0]
    cpu = worker.cpu_s()
    stage.publish(events(40))
    wait_for(lambda: re.search('"parking failed".*"suppressed":', worker.log()), 40, "a sum of failures to park")
    said = [line for line in worker.log().splitlines() if "parking failed" in line]
    words = r"topic \S+: .*Topic authorization failed \(the ACLs a worker needs: compose/secure/README.md\)"
    stage.demand(len(said) <= 12 and re.search(words, said[0]), f"{len(said)} lines, the first: {said[0]}")
    stage.demand(worker.cpu_s() - cpu < CPU_S_MAX, f"{worker.cpu_s() - cpu:.1f} s of CPU meanwhile")
    stage.kafka.client.allow(WORKER, [rules(stage)["side-write"]])
    stage.wait_done([u for u in stage.units() if u != "a/e-00004"])
    wait_for(stage.dead, 30, "a dead letter", 0.3)
    stage.judge(dead=stage.dead())
