"""Redis over TLS and with the least rights: what works, and that each fault is one line with the next step."""
import re
import subprocess

from harness.proc import free_port, wait_for
from harness.registry import scenario
from harness.secrets import Secrets
from harness.stage import events

REFUSED, CONFIG = 77, 78
CPU_S_MAX = 2.0  # of a worker that waits for seconds: a loop would use all of it


def set_up(stage, ask_clients="no", change=lambda line: line, before=lambda secrets: None, **changes):
    """A Redis with a TLS port and the users of compose/secure, and workers that log in there."""
    secrets = Secrets(f"{stage.folder}/secrets")
    before(secrets)
    port = free_port()
    stage.set_up(partitions=2, redis={"user": "tests", "password": "tests", "arguments": [
        "--aclfile", secrets.users(change), "--tls-port", str(port), "--tls-cert-file", secrets.path("redis.crt"),
        "--tls-key-file", secrets.path("redis.key"), "--tls-ca-cert-file", secrets.path("ca.crt"),
        "--tls-auth-clients", ask_clients]}, changes={
            "redis": {"url": f"rediss://localhost:{port}/0", "username": "sluice",
                      "password_file": secrets.path("redis_password"), "ca_file": secrets.path("ca.crt")},
            "limits": {"all": {"rate": "40/s", "burst": 5}}, "targets": {"a": {"limits": ["all"]}}})
    stage.changes["redis"].update(changes)
    return secrets


def is_refused(stage, *words):
    """Exit 77, and one line that has all of the words."""
    worker = stage.worker("w1")
    code = worker.wait(30)
    stage.demand(code == REFUSED, f"exit {code}, not {REFUSED}: {worker.last_lines(6)}")
    lines = [line for line in worker.log().splitlines() if all(re.search(w, line) for w in words)]
    errors = [line for line in lines if '"level":"error"' in line]
    stage.demand(len(errors) == 1 and len(lines) <= 2, f"not one line with {words}: {worker.last_lines(8)}")


@scenario(brokers=("mock",), timeout_s=90)
def the_least_rights_suffice(stage):
    """TLS, a client certificate, and the user of compose/secure: limits, ledger and what operators ask work."""
    secrets = set_up(stage, ask_clients="yes")
    stage.changes["redis"].update({"cert_file": secrets.path("sluice.crt"), "key_file": secrets.path("sluice.key")})
    stage.fleet(2)
    stage.publish(events(60))
    stage.wait_done(stage.units())
    stage.judge()
    keys = stage.redis.keys()
    stage.demand(keys and all(k.startswith("sluice:") for k in keys), f"keys outside the prefix: {keys[:3]}")
    for command in (["status"], ["trace", "e-00001"], ["tap", "--for", "1s"], ["doctor"]):
        said = subprocess.run([stage.consumer, *command, "-c", stage.workers["w1"].config_path], capture_output=True, text=True,
                              timeout=30)
        stage.demand(said.returncode == 0, f"{command[0]}: exit {said.returncode}: {(said.stderr or said.stdout)[-300:]}")
    denied = stage.redis.ask("ACL", "LOG")
    stage.demand(not denied, f"Redis denied something: {denied[:1]}")
    stage.stop_all()


@scenario(brokers=("mock",), timeout_s=60)
def authority_unknown(stage):
    """The server's certificate is signed by somebody else: refused, with redis.ca_file."""
    other = Secrets(f"{stage.folder}/other")
    set_up(stage, ca_file=other.path("ca.crt"))
    is_refused(stage, "not trusted", "redis.ca_file")


@scenario(brokers=("mock",), timeout_s=60)
def name_of_another_host(stage):
    """The certificate is for another name than the URL's: refused."""
    set_up(stage)
    stage.changes["redis"]["url"] = stage.changes["redis"]["url"].replace("localhost", "127.0.0.2")
    stage.redis.ask("CONFIG", "SET", "bind", "127.0.0.1 127.0.0.2")
    is_refused(stage, "not for '127.0.0.2'", "redis.url")


@scenario(brokers=("mock",), timeout_s=60)
def server_certificate_expired(stage):
    """The server's certificate is over: refused."""
    set_up(stage, before=lambda secrets: secrets.expire("redis"))
    is_refused(stage, "server's certificate has expired", "renew")


@scenario(brokers=("mock",), timeout_s=60)
def client_certificate_missing(stage):
    """The server asks who we are, and we have nothing to show: refused, with redis.cert_file."""
    set_up(stage, ask_clients="yes")
    is_refused(stage, "client certificate", "redis.cert_file")


@scenario(brokers=("mock",), timeout_s=60)
def password_wrong(stage):
    """Another password than Redis has: refused, and the password is not told."""
    secrets = set_up(stage, password_file=None, password="wrong-password-marker")
    del stage.changes["redis"]["password_file"]
    is_refused(stage, "WRONGPASS", "redis.password_file")
    log = stage.workers["w1"].log()
    stage.demand("wrong-password-marker" not in log and secrets.text("redis_password") not in log, "a password is in the log")


@scenario(brokers=("mock",), timeout_s=60)
def right_missing(stage):
    """The user may not run scripts, or not touch our keys: refused, with where the rights stand."""
    set_up(stage, change=lambda line: line.replace(" +evalsha", ""))
    is_refused(stage, "NOPERM", "evalsha", "redis-users.acl")


@scenario(brokers=("mock",), timeout_s=60)
def file_missing(stage):
    """The file of redis.ca_file is not there: exit 78 and its name."""
    set_up(stage, ca_file="/nonexistent/ca.crt")
    worker = stage.worker("w1")
    code = worker.wait(30)
    stage.demand(code == CONFIG and "redis.ca_file: /nonexistent/ca.crt" in worker.log(),
                 f"exit {code}: {worker.last_lines()}")


@scenario(brokers=("mock",), timeout_s=90)
def refused_while_it_runs(stage):
    """The password is changed under a running worker: it waits without a loop, says so in one line, and comes back unaided."""
    secrets = set_up(stage)
    worker = stage.fleet(1)[0]
    stage.publish(events(10))
    stage.wait_done(stage.units())
    cpu = worker.cpu_s()
    stage.redis.ask("ACL", "SETUSER", "sluice", "resetpass", ">another")
    stage.redis.ask("CLIENT", "KILL", "USER", "sluice")
    worker.wait_log("WRONGPASS")
    stage.publish(events(10, first=10))
    tries = wait_for(lambda: denied(stage) >= 3 and denied(stage), 40, "three tries to log in")
    lines = [line for line in worker.log().splitlines() if "WRONGPASS" in line]
    stage.demand(len(lines) == 1, f"{len(lines)} lines after {tries} tries: {lines[:3]}")
    stage.demand(worker.cpu_s() - cpu < CPU_S_MAX, f"{worker.cpu_s() - cpu:.1f} s of CPU meanwhile")
    stage.demand(worker.get("/readyz?verbose")[1].find("WRONGPASS") >= 0, f"not on /readyz: {worker.get('/readyz?verbose')}")
    stage.note(f"{tries} tries, {worker.cpu_s() - cpu:.2f} s of CPU")
    stage.redis.ask("ACL", "SETUSER", "sluice", "resetpass", ">" + secrets.text("redis_password"))
    stage.wait_done(stage.units())
    stage.judge()


def denied(stage):
    """How often Redis refused a password."""
    entries = stage.redis.ask("ACL", "LOG")
    counts = [dict(zip(e[::2], e[1::2])) for e in entries]
    return sum(int(c["count"]) for c in counts if c["reason"] == "auth")
