"""Poison in the topic: dead-lettered or skipped with a reason, and the lane goes on."""
import json
import os

from harness.proc import wait_for
from harness.registry import scenario
from harness.stage import event


def text(value):
    return json.dumps(value).encode()


BIG = 10 * 1024 * 1024
GOOD = event(900)
# name: the record's bytes, and what must become of it: a word of the reason, or None for skipped
RECORDS = {
    "invalid-utf8": (b'{"id":"p-1","app":"\xff\xfe","repo":"r","commit":"c"}', "bad-utf8"),
    "truncated": (text(GOOD)[:-20], "bad-json"),
    "empty-text": (b" ", "bad-json"),
    "not-an-object": (b"[1,2,3]", ""),
    "deep": (b'{"id":"p-2","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "bad-json"),
    "huge": (b'{"id":"p-3","x":"' + b"x" * BIG + b'"}', "too-large"),
    "duplicate-keys": (b'{"id":"p-4","app":"a","app":"b","repo":"r","commit":"c"}', "bad-json"),
    "not-a-number": (b'{"id":"p-5","app":"a","x":NaN}', "bad-json"),
    "huge-exponent": (b'{"id":"p-6","app":"a","repo":"r","commit":"c","run":1e999999}', ""),
    "crlf-in-branch": (text(event(901, branch="main\r\nx-evil: 1")), "invalid-field"),
    "nul-in-app": (text(event(902, app="a\u0000b")), "invalid-field"),
    "id-of-a-wrong-kind": (text(event(903, id={"a": 1})), "invalid-field"),
    "unknown-specversion": (text({"specversion": "9.9", "id": "p-7", "source": "s", "type": "x", "data": {}}),
                            "unsupported-version"),
    "failure-event": (text(event(904, status="failed")), None),
    "other-type": (text(event(905, type="something.else")), None),
}


@scenario(brokers=("real", "mock"), timeout_s=120)
def poison_records(stage):
    """Each bad record ends dead with a reason, or skipped; the good ones around it are all called."""
    stage.set_up(partitions=1, changes={"kafka": {"properties": {"message.max.bytes": 12_000_000}}})
    records = dict(RECORDS)
    if stage.kafka.kind == "mock":  # its log holds 5 MiB a partition
        del records["huge"]
    path, good = os.path.join(stage.folder, "record"), []
    for number, (name, (value, _)) in enumerate(records.items()):
        with open(path, "wb") as f:
            f.write(value)
        stage.kcat("-P", "-t", stage.topic, "-k", name, "-X", "message.max.bytes=12000000", path)
        good.append(event(number, app=f"after-{name}"))
        stage.publish(good[-1:])
    stage.kcat("-P", "-t", stage.topic, "-K", "\t", "-Z", stdin=b"tombstone\t\n")  # a null value
    worker = stage.fleet(1)[0]
    stage.wait_done(stage.units(), 60)
    stage.wait_drained()
    wanted = {name: reason for name, (_, reason) in records.items() if reason is not None}
    dead = {}

    def all_dead():
        dead.update({r["key"]: r for r in stage.records(stage.dead_topic)})
        return set(wanted) <= set(dead)
    try:
        wait_for(all_dead, 20, "the dead letters", 0.5)
    except Exception:
        stage.demand(False, f"not dead-lettered: {sorted(set(wanted) - set(dead))}")
    stage.demand(set(dead) == set(wanted), f"dead-lettered without need: {sorted(set(dead) - set(wanted))}")
    for name, reason in wanted.items():
        headers = dead[name]["headers"]
        stage.demand(reason in headers.get("sluice-reason", ""), f"{name}: reason {headers.get('sluice-reason')}")
        for header in ("sluice-origin-topic", "sluice-origin-partition", "sluice-origin-offset", "sluice-class"):
            stage.demand(header in headers, f"{name}: no {header} in {sorted(headers)}")
    stage.demand(worker.running(), "the worker is gone")
    stage.demand("x-evil" not in worker.log(), "a field's value is in the log")
    stage.judge(units=stage.units())


@scenario(brokers=("real", "mock"), timeout_s=90)
def same_id_other_content(stage):
    """An id that comes again with another commit is a conflict: dead-lettered, not called, not skipped."""
    stage.set_up(partitions=1)
    stage.fleet(1)
    first, other = event(1), event(1, commit="f" * 40)
    stage.publish([first])
    stage.wait_done(stage.units())
    stage.publish([other, event(2)])
    stage.published = [first, event(2)]
    stage.wait_done(stage.units())
    stage.wait_drained()
    records = stage.records(stage.dead_topic)
    stage.demand(len(records) == 1 and "f" * 40 in records[0]["payload"], f"dead letters: {records}")
    stage.demand("conflict" in records[0]["headers"].get("sluice-reason", ""), f"reason: {records[0]['headers']}")
    stage.judge()


@scenario(brokers=("real", "mock"), timeout_s=90)
def fields_cannot_leave_their_place(stage):
    """Slashes, dots, a host, a query and quotes in a field stay percent-encoded in the path, and JSON in the body."""
    stage.set_up(partitions=1)
    stage.fleet(1)
    nasty = ["../../admin", "@evil.example", "evil.example:80/x", "a?b=c#d", 'q"uote', "sp ace", "%2e%2e", "ümlaut"]
    stage.publish([event(n, app=app, commit=f'"}}{n}') for n, app in enumerate(nasty)])
    stage.wait_done(stage.units())
    stage.wait_drained()
    for request in stage.target.requests():
        prefix, _, rest = request.path[1:].partition("/")
        stage.demand(prefix == "a" and "/" not in rest and "?" not in rest and "#" not in rest and '"' not in rest,
                     f"a field left its place: {request.path}")
        stage.demand(list(json.loads(request.body)) == ["revision"], f"a field left its place: {request.body}")
    stage.judge()


@scenario(brokers=("real", "mock"), timeout_s=90)
def credentials_stay_inside(stage):
    """Devtron's gitOptions: the password is in no log, no call, no dead letter; the token only in its header."""
    secret_file = os.path.join(stage.folder, "token")
    marker, git_marker = "marker-token-1f2e", "marker-git-3d4c"
    with open(secret_file, "w", encoding="ascii") as f:
        f.write(marker + "\n")
    stage.set_up(partitions=1, changes={
        "secrets": {"tok": {"file": secret_file}},
        "targets": {"a": {"headers": {"authorization": "Bearer ${secret.tok}"}}}},
        rules=[{"status": 400}])
    worker = stage.fleet(1)[0]
    url = f"https://bot:{git_marker}@git.example/x.git"
    devtron = {"CiProjectDetails": [{"gitRepository": url}], "repo": url, "gitOptions": {"userName": "u", "password": git_marker, "sshPrivateKey": git_marker}}
    stage.publish([event(1, **devtron), event(2, id=None, **devtron)], options=["-H", f"x-origin={url}"])
    stage.target.wait(30, calls=1)
    stage.wait_drained()
    wait_for(lambda: len(stage.records(stage.dead_topic)) >= 2, 20, "two dead letters", 0.5)
    seen = json.dumps(stage.records(stage.dead_topic)) + worker.log() + worker.get("/metrics")[1]
    seen += json.dumps([r.body for r in stage.target.requests()])
    stage.demand(git_marker not in seen, "a Git credential is in a log, a dead letter or a call")
    stage.demand(marker not in seen, "the token is outside its header")
