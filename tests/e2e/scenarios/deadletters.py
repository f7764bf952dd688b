"""Dead letters: listed, sent again once each whatever stops the sending, dropped, exported."""
import collections
import json
import os
import signal
import subprocess
import urllib.error
import urllib.request

from harness.operator import ask, begin, console
from harness.proc import wait_for
from harness.registry import scenario
from harness.stage import event, events

REFUSED = {"path": "/b/", "status": 401}
TOKEN = "token-of-the-letters-test"


def act(url, what, body):
    """(status, answer) of an action."""
    request = urllib.request.Request(f"{url}/api/v1/{what}", json.dumps(body).encode(),
                                     {"authorization": f"Bearer {TOKEN}", "x-sluice-action": "1"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as e:
        return e.code, json.load(e)


def letters(stage, *filters):
    return json.loads(ask(stage, "dlq", "list", "--json", *filters)[0])


def redriven(stage, task=None):
    """How often each dead letter is in the redrive topic."""
    rows = stage.records(f"{stage.topic}.{stage.group}.retry.1s")
    return collections.Counter(r["headers"]["sluice-redrive-of"] for r in rows if "sluice-redrive-of" in r["headers"]
                               and task in (None, r["headers"]["sluice-redrive"]))


def moved(stage):
    return sum(stage.kafka.client.ends(f"{stage.topic}.{stage.group}.retry.1s", 3).values())


def accepted(stage, path="/b/"):
    """How often the target took each unit."""
    return collections.Counter(r.key for r in stage.target.requests() if r.path.startswith(path) and r.answer == 200)


def die(stage, count, **changes):
    """A fleet whose target b refuses everything: so many dead letters."""
    stage.set_up(partitions=3, targets=("a", "b"), rules=[REFUSED], delays=["2s", "4s"], changes=changes)
    stage.kafka.create_topic(f"{stage.topic}.{stage.group}.retry.1s", 3, **{"message.timestamp.type": "LogAppendTime"})
    stage.fleet(2)
    stage.publish(events(count))
    stage.wait_drained(60)
    wait_for(lambda: letters(stage)["total"] == count, 30, f"{count} dead letters", 0.3)


@scenario(brokers=("real", "mock"), timeout_s=150)
def dead_letters_are_sent_again(stage):
    """14 letters: a dry run changes nothing; redriven at a pace, 13 are triggered once and one dies again, with its lineage."""
    die(stage, 14)
    _, said = ask(stage, "dlq", "redrive", "--target", "b")
    stage.demand("14 dead letters" in said and "dry run" in said, f"the dry run says {said}")
    stage.demand(not redriven(stage), "a dry run sent something")
    stage.target.rules({**REFUSED, "key": "e-00005"})
    out, _ = ask(stage, "dlq", "redrive", "--target", "b", "--rate", "20/s", "--yes", "--json")
    result = json.loads(out)
    stage.demand((result["sent"], result["triggered"], result["dead_again"], result["waiting"]) == (14, 13, 1, 0),
                 f"the redrive says {result}")
    twice = [k for k, n in accepted(stage).items() if n != 1]
    stage.demand(not twice and len(accepted(stage)) == 13, f"taken {len(accepted(stage))}, not once: {twice}")
    left = letters(stage)
    stage.demand([r["event"] for r in left["letters"]] == ["e-00005"], f"left: {left}")
    again = left["letters"][0]
    stage.demand(again["redrive"] == result["task"] and again["redrives"] == 1 and again["attempts"] == 2
                 and again["redrive_of"], f"its lineage: {again}")
    stage.demand(letters(stage, "--handled")["total"] == 15, "a record is gone from the dead-letter topic")
    # and once more, until the guard says no
    for task in range(2):
        ask(stage, "dlq", "redrive", "--yes")
    _, said = ask(stage, "dlq", "redrive", "--yes")
    stage.demand("0 dead letters" in said and "--force" in said, f"the guard against loops says {said}")


@scenario(timeout_s=240)
def redrive_killed_in_the_middle(stage):
    """40 letters; kill -9 amid the sending, three times, and --resume: each is in the redrive topic once, each called once.

    The first time Redis takes no writes before, so that a letter is acknowledged by Kafka and not noted."""
    die(stage, 40)
    stage.target.rules()
    child = begin(stage, "dlq", "redrive", "--target", "b", "--rate", "3/s", "--yes")
    for round_ in range(3):
        seen = moved(stage)
        wait_for(lambda: child.poll() is not None or moved(stage) >= seen + 4, 60,
                 "some letters to be sent", 0.05)
        stage.demand(child.poll() is None, f"round {round_}: it ended with {child.returncode}")
        if round_ == 0:
            stage.redis.ask("CLIENT", "PAUSE", "60000", "WRITE")
            seen = moved(stage)
            wait_for(lambda: child.poll() is not None or moved(stage) > seen, 20, "a letter without a note", 0.02)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        stage.redis.ask("CLIENT", "UNPAUSE")
        if round_ == 0:
            noted = len(stage.redis.ask("HKEYS", f"sluice:ops:{{{stage.group}}}:handled"))
            stage.demand(noted < moved(stage), f"{noted} noted of {moved(stage)} sent: nothing to mend")
        faster = ["--rate", "50/s"] if round_ == 2 else []
        child = begin(stage, "dlq", "redrive", "--resume", "r-0001", "--json", *faster)
    out, _ = child.communicate(timeout=90)
    stage.demand(child.returncode == 0, f"the last resume ended with {child.returncode}: {out}")
    result = json.loads(next(line for line in out.splitlines() if line.startswith("{")))
    counts = redriven(stage)
    twice = {k: n for k, n in counts.items() if n != 1}
    stage.demand(not twice and len(counts) == 40, f"{len(counts)} letters redriven, not once: {twice}")
    stage.demand(result["sent"] == 40 and result["state"] == "done", f"the result says {result}")
    stage.wait_done([f"b/{e['id']}" for e in stage.published], 30)
    twice = [k for k, n in accepted(stage).items() if n != 1]
    stage.demand(not twice, f"taken twice: {twice}")
    stage.demand(letters(stage)["total"] == 0, "some are still outstanding")
    ask(stage, "dlq", "redrive", "--resume", "r-0001", code=78)


@scenario(timeout_s=180)
def redrive_killed_and_begun_anew(stage):
    """kill -9, and not --resume but a new one: it settles what the other left, waits for its lock, sends the rest."""
    die(stage, 20)
    stage.target.rules()
    child = begin(stage, "dlq", "redrive", "--rate", "5/s", "--yes")
    wait_for(lambda: moved(stage) >= 5, 30, "some letters to be sent", 0.05)
    _, said = ask(stage, "dlq", "redrive", "--yes", code=75)
    stage.demand("another task is at work" in said, f"the second one says {said}")
    child.kill()
    child.wait()

    def anew():
        worker = next(iter(stage.workers.values()))
        return subprocess.run([stage.consumer, "dlq", "redrive", "--yes", "-c", worker.config_path],
                              capture_output=True, timeout=60).returncode == 0
    wait_for(anew, 40, "the lock to end", 1)
    counts = redriven(stage)
    stage.demand(len(counts) == 20 and set(counts.values()) == {1}, f"redriven: {counts}")


@scenario(brokers=("real", "mock"), timeout_s=120)
def redrive_stopped_by_hand(stage):
    """Ctrl-C: it stops between two letters with exit code 75 and says how to go on; so it does."""
    die(stage, 20)
    stage.target.rules()
    child = begin(stage, "dlq", "redrive", "--rate", "5/s", "--yes")
    wait_for(lambda: moved(stage) >= 3, 30, "some letters to be sent", 0.05)
    child.send_signal(signal.SIGINT)
    said, _ = child.communicate(timeout=20)
    stage.demand(child.returncode == 75 and "--resume r-0001" in said, f"{child.returncode}: {said}")
    ask(stage, "dlq", "redrive", "--resume", "r-0001", "--rate", "50/s")
    counts = redriven(stage)
    stage.demand(len(counts) == 20 and set(counts.values()) == {1}, f"redriven: {counts}")


@scenario(brokers=("real", "mock"), timeout_s=120)
def letters_of_any_shape(stage):
    """Bytes, ANSI escapes, a tombstone, foreign records, 200 KB in a header: shown as text, never sent, dropped, never deleted."""
    die(stage, 2)
    nasty = [b"k\t\xff\xfe\x00\x01", b"k\t\x1b[31mred\x1b[0m", b"k\t{\"id\":\"<script>\"}", b"k\t" + b"[" * 4000]
    for line in nasty:
        stage.kcat("-P", "-t", stage.dead_topic, "-K", "\t", stdin=line + b"\n")
    stage.kcat("-P", "-t", stage.dead_topic, "-K", "\t", "-Z", stdin=b"tombstone\t\n")
    stage.kcat("-P", "-t", stage.dead_topic, "-K", "\t", "-H", "sluice-reason=\x1b]0;title", "-H", "sluice-round=99999999999",
               "-H", "sluice-origin-topic=t", "-H", "sluice-target=" + "x" * 100_000, stdin=b"k\tv\n")
    listed = letters(stage)
    stage.demand(listed["total"] == 8, f"{listed['total']} of 8 are listed")
    text, _ = ask(stage, "dlq", "list")
    stage.demand("\x1b" not in text and "foreign" in text, "an escape reached the terminal")
    for row in listed["letters"]:
        text, _ = ask(stage, "dlq", "show", f"{row['partition']}:{row['offset']}")
        stage.demand("\x1b" not in text and len(text) > 50, f"show of {row['offset']}")
    stage.target.rules()
    _, said = ask(stage, "dlq", "redrive", "--yes")
    stage.demand("2 dead letters" in said and len(redriven(stage)) == 2, f"redrive says {said}")
    out, _ = ask(stage, "dlq", "drop", "--yes")
    stage.demand("6 dropped" in out, f"drop says {out}")
    stage.demand(letters(stage)["total"] == 0 and letters(stage, "--handled")["total"] == 8, "after the drop")
    stage.demand(len(stage.records(stage.dead_topic)) == 8, "a record was deleted")


@scenario(brokers=("real", "mock"), timeout_s=120)
def exported_letters_are_published_again(stage):
    """export | publish: the same events on the source topic, which the ledger knows as dead."""
    die(stage, 5)
    lines, _ = ask(stage, "dlq", "export")
    stage.demand(sorted(json.loads(line)["id"] for line in lines.splitlines()) == [e["id"] for e in stage.published],
                 f"exported: {lines[:300]}")
    out = subprocess.run([stage.producer, "publish", "-", "--brokers", stage.kafka.bootstrap, "--topic", stage.topic],
                         input=lines, capture_output=True, text=True, timeout=60)
    stage.demand(out.returncode == 0, f"publish: {out.stderr[-300:]}")
    stage.wait_drained(30)
    record = ask(stage, "dlq", "export", "--records")[0].splitlines()[0]
    out = subprocess.run([stage.consumer, "explain", "-", "-c", stage.workers["w1"].config_path], input=record,
                         capture_output=True, text=True, timeout=60)
    stage.demand(out.returncode == 0 and "e-0000" in out.stdout, f"explain: {out.stdout[-200:]} {out.stderr[-200:]}")


@scenario(brokers=("mock",), timeout_s=120)
def a_vague_redrive_is_refused(stage):
    """The console's API: a filter that is misspelt, of the wrong type or too long sends nothing, rather than everything."""
    die(stage, 3)
    url = console(stage, TOKEN)
    bad = ({"targt": "b"}, {"target": 5}, {"target": ["b"]}, {"reason": None}, {"reason": "x" * 300}, {"dry_run": "false"},
           {"rate_per_s": "5"}, {"rate_per_s": 1e-300}, {"limit": 1})
    for body in bad:
        status, said = act(url, "deadletters/redrive", body)
        stage.demand(status == 400, f"{body} is answered {status} {said}")
    status, said = act(url, "deadletters/redrive", {"target": "b", "dry_run": True, "rate_per_s": 5})
    stage.demand(status == 200 and said["fit"] == 3, f"{status} {said}")
    stage.demand(not redriven(stage), "something was sent")
    stage.stop_all()


@scenario(brokers=("mock",), timeout_s=90)
def a_letter_too_large_is_left_alone(stage):
    """One that may not be sent with its new headers does not keep those behind it from being sent."""
    stage.set_up(partitions=1, targets=("a", "b"), rules=[REFUSED], delays=["2s", "4s"])
    stage.fleet(1)
    stage.publish([event(0), event(1, note="n" * 5000), event(2)])
    stage.wait_drained(60)
    wait_for(lambda: letters(stage)["total"] == 3, 30, "3 dead letters", 0.3)
    out, said = ask(stage, "dlq", "redrive", "--target", "b", "--yes", "--json", "-X", "message.max.bytes=4000")
    stage.demand(json.loads(out)["sent"] == 2 and "too large" in said, f"{out} {said}")
    stage.demand(letters(stage, "--event", "e-00001")["total"] == 1, "the large one is not listed any more")
    stage.stop_all()
