"""The judge judged: doctored logs must be found out, clean ones must pass. No product, no broker."""
from harness import checker
from harness.config import merge, to_yaml
from harness.registry import scenario
from harness.stage import Stage
from harness.target_client import Request

MS = checker.MS
UNITS = [f"a/e-{i}" for i in range(10)]


def call(unit, at_ms, took_ms=10, answer=200, worker="w1"):
    return Request(at_ms * MS, (at_ms + took_ms) * MS, "/a", unit, worker, 1, answer, "")


def clean():
    return [call(u, 20 * i) for i, u in enumerate(UNITS)]


def same(got, wanted, what):
    Stage.demand(got == wanted, f"{what}: {got} instead of {wanted}")


@scenario(brokers=("none",), timeout_s=10)
def finds_lost_and_doubled(stage):
    """A lost, a doubled, an unknown and a both-ways unit are found; a clean log has no fault."""
    judge = checker.judge_calls
    same(judge(UNITS, clean()).faults(), [], "clean log")
    same(judge(UNITS, clean()[1:]).lost, ["a/e-0"], "lost")
    same(judge(UNITS, clean()[1:], dead=["a/e-0"]).faults(), [], "dead is not lost")
    same(judge(UNITS, clean(), dead=["a/e-0"]).both, ["a/e-0"], "called and dead")
    same(judge(UNITS, clean() + [call("a/e-3", 500)]).doubled, ["a/e-3"], "doubled")
    same(judge(UNITS, clean() + [call("a/e-77", 500)]).strangers, ["a/e-77"], "stranger")
    failed = [call("a/e-0", 0, answer=500), call("a/e-0", 5, answer="reset")] + clean()
    same(judge(UNITS, failed).faults(), [], "failed calls before the good one")
    same(judge(UNITS, [call("a/e-0", 0, answer=500)] + clean()[1:]).lost, ["a/e-0"], "only failed calls")


@scenario(brokers=("none",), timeout_s=10)
def excuses_only_what_was_open(stage):
    """A second call is excused by a kill of that worker while the first was open, by nothing else."""
    log = clean() + [call("a/e-3", 500, worker="w2")]  # e-3 was open from 60 to 70 ms in w1

    def doubled(worker, begin, end):
        excuse = checker.Excuse(worker, begin * MS, end * MS, "kill")
        return checker.judge_calls(UNITS, log, (), [excuse]).doubled
    same(doubled("w1", 65, 65), [], "open at the kill")
    same(doubled("w2", 65, 65), ["a/e-3"], "another worker was killed")
    same(doubled("w1", 71, 80), ["a/e-3"], "answered before the kill")
    same(doubled("w1", 40, 59), ["a/e-3"], "not yet begun at the kill")
    thrice = log + [call("a/e-3", 900, worker="w2")]
    excuse = checker.Excuse("w1", 65 * MS, 65 * MS, "kill")
    same(checker.judge_calls(UNITS, thrice, (), [excuse]).doubled, ["a/e-3"], "the third call has no excuse")


@scenario(brokers=("none",), timeout_s=10)
def finds_rate_breach(stage):
    """The worst window of any length is found exactly, against a slow search over all windows."""
    even = [i * 20 * MS for i in range(500)]  # 50/s
    same(checker.rate_excess(even, 50, 10, 1.0) <= 0, True, "an even stream")
    burst = even + [5000 * MS + i for i in range(61)]
    same(checker.rate_excess(burst, 50, 10, 1.0) > 0, True, "61 at once beside the stream")
    fast = [i * 19 * MS for i in range(5000)]  # 52.6/s: only long windows show it
    same(checker.rate_excess(fast, 50, 10, 1.0) > 0, True, "a stream that is 5 % too fast")
    import random
    rng = random.Random(4)
    times = sorted(rng.randrange(3000) * MS for _ in range(120))
    slow = max(j - i + 1 - 30 * (times[j] - times[i]) / 1e9 for i in range(120) for j in range(i, 120))
    same(round(checker.rate_excess(times, 30, 0, 0), 6), round(slow, 6), "the worst window")
    same(round(checker.rate_used(even, 0, 10_000 * MS, 50), 3), 1.0, "used")


@scenario(brokers=("none",), timeout_s=10)
def finds_wrong_order(stage):
    """A successor called before its predecessor's answer is found."""
    same(checker.judge_order([UNITS], clean()), [], "in order")
    overlapping = [call("a/e-0", 0, took_ms=30), call("a/e-1", 20)]
    same(len(checker.judge_order([UNITS[:2]], overlapping)), 1, "overlap")


BOOKS = """# HELP sluice_events_read_total x
sluice_events_read_total{topic="t",partition="0"} 12
sluice_events_read_total{topic="t",partition="1"} 3
sluice_events_settled_total{topic="t",partition="0"} 9
sluice_events_settled_total{topic="t",partition="1"} 3
sluice_events_returned_total{topic="t",partition="0"} 1
sluice_events_in_flight 2
sluice_units_opened_total{target="a"} 10
sluice_units_total{target="a",verdict="triggered"} 7
sluice_units_total{target="a",verdict="dead"} 1
sluice_units_in_flight 2
"""


@scenario(brokers=("none",), timeout_s=10)
def finds_books_that_do_not_balance(stage):
    """P8 on metrics: each side of both equations."""
    def faults(old="", new=""):
        return len(checker.judge_books(checker.parse_metrics(BOOKS.replace(old, new) if old else BOOKS)))
    same(faults(), 0, "balanced")
    same(faults('0"} 12', '0"} 13'), 1, "one read more")
    same(faults("in_flight 2\nsluice_units_opened", "in_flight 3\nsluice_units_opened"), 1, "one event in flight more")
    same(faults('"dead"} 1', '"dead"} 0'), 1, "a verdict is missing")
    same(faults('sluice_events_settled_total{topic="t",partition="1"} 3',
                'sluice_events_settled_total{topic="t",partition="1"} 4') > 0, True, "settled more than read")
    same(faults("sluice_units_in_flight 2\n", "") > 0, True, "a metric is missing")


@scenario(brokers=("none",), timeout_s=20)
def target_tells_what_came(stage):
    """The target logs each request, answers by its rules, and counts attempts per key."""
    import http.client
    from harness.target_client import Target
    target = stage.also(Target(stage.folder, [{"path": "/bad", "attempts": [1, 1], "status": 503}]))
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=5)
    answers = []
    for path in ("/bad", "/bad", "/good"):
        connection.request("POST", path, body="{}", headers={"idempotency-key": f"a{path}", "x-worker": "w9"})
        answer = connection.getresponse()
        answer.read()
        answers.append(answer.status)
    same(answers, [503, 200, 200], "answers")
    rows = target.requests()
    same([(r.key, r.worker, r.attempt, r.answer) for r in rows],
         [("a/bad", "w9", 1, 503), ("a/bad", "w9", 2, 200), ("a/good", "w9", 1, 200)], "log")
    same(target.wait(5, calls=3)["open"], 0, "open calls")


@scenario(brokers=("none",), timeout_s=10)
def writes_yaml(stage):
    """The configuration writer quotes what needs it."""
    same(to_yaml(merge({"a": {"x": 1, "y": 2}}, {"a": {"y": None, "z": "b: c"}, "l": ["t:1", "5s"]})),
         'a:\n  x: 1\n  z: "b: c"\nl: ["t:1", 5s]\n', "yaml")
