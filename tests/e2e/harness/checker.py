"""The judge: pure functions over what the target, Kafka and the workers' metrics say. Nothing here talks to anyone.

A unit is named as on the wire: "<target>/<event id>", its idempotency key. A call counts as done when the target chose
a 2xx for it, whether or not the answer still reached the caller. Times are monotonic nanoseconds of one machine.
"""
import collections
import re

MS = 1_000_000

# Why a unit may have been called again: an earlier call of `worker` (None: any) was open or just answered, not yet
# recorded, at some time in [begin_ns, end_ns].
Excuse = collections.namedtuple("Excuse", "worker begin_ns end_ns why")


class Verdict:
    """Lists of sentences and units; `faults()` is what a scenario must be free of."""

    def __init__(self):
        self.lost, self.doubled, self.excused, self.strangers, self.both = [], [], [], [], []

    def faults(self):
        return ([f"lost: {u}" for u in self.lost] + [f"doubled without excuse: {u}" for u in self.doubled]
                + [f"called but never published: {u}" for u in self.strangers]
                + [f"called and also dead-lettered: {u}" for u in self.both])


def is_done(request):
    return isinstance(request.answer, int) and 200 <= request.answer < 300


def done_calls(requests):
    """{unit: its done calls in order of arrival}."""
    calls = collections.defaultdict(list)
    for r in sorted(requests, key=lambda r: r.arrived_ns):
        if is_done(r):
            calls[r.key].append(r)
    return calls


def _excuse_for(call, excuses):
    for e in excuses:
        if (e.worker in (None, call.worker) and call.arrived_ns <= e.end_ns
                and (call.answered_ns == 0 or call.answered_ns >= e.begin_ns)):
            return e
    return None


def judge_calls(units, requests, dead=(), excuses=(), may_be_both=False):
    """units: every unit that had to be called. dead: units found in the dead-letter topic instead."""
    verdict, calls, dead = Verdict(), done_calls(requests), set(dead)
    known = set(units)
    for unit in units:
        count = len(calls.get(unit, ()))
        if count == 0 and unit not in dead:
            verdict.lost.append(unit)
        if count > 0 and unit in dead and not may_be_both:
            verdict.both.append(unit)
        if count > 1:
            # each further call needs an excuse in the one before it
            excused = all(_excuse_for(c, excuses) for c in calls[unit][:-1])
            (verdict.excused if excused else verdict.doubled).append(unit)
    verdict.strangers = sorted({r.key for r in requests} - known)
    return verdict


def judge_order(chains, requests):
    """chains: lists of units that must be called one after the other. Returns sentences."""
    calls, faults = done_calls(requests), []
    for chain in chains:
        before = None
        for unit in chain:
            if unit not in calls:
                continue
            first = calls[unit][0]
            if before and first.arrived_ns < before.answered_ns:
                faults.append(f"{unit} was called {(before.answered_ns - first.arrived_ns) / MS:.1f} ms before "
                              f"{before.key} had its answer")
            before = first
    return faults


def rate_excess(times_ns, rate, burst, life_s):
    """By how many calls the worst window of any length exceeds burst + rate * (T + life); at most 0 is good.

    Exact: the most calls beyond rate * T over all windows that begin and end with a call is the largest
    (j + 1 - rate * t_j) - (i - rate * t_i), found with a running minimum.
    """
    times = sorted(times_ns)
    if not times:
        return -burst
    worst, lowest = float("-inf"), float("inf")
    for i, t in enumerate(times):
        level = i - rate * (t - times[0]) / 1e9
        lowest = min(lowest, level)
        worst = max(worst, level + 1 - lowest)
    return worst - burst - rate * life_s


def rate_used(times_ns, begin_ns, end_ns, rate):
    """Share of what the limit allows that was used between two times."""
    count = sum(begin_ns <= t < end_ns for t in times_ns)
    return count / (rate * (end_ns - begin_ns) / 1e9)


def parse_metrics(text):
    """Prometheus text to {name: {(("label", "value"), ...): number}}."""
    result = collections.defaultdict(dict)
    for line in text.splitlines():
        m = re.match(r'([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$', line)
        if m:
            labels = tuple(sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', m.group(2) or "")))
            result[m.group(1)][labels] = float(m.group(3))
    return result


def total(metrics, name, **labels):
    """The sum of a family's series that carry these labels."""
    return sum(v for k, v in metrics.get(name, {}).items() if set(labels.items()) <= set(k))


def judge_books(metrics):
    """P8 for one worker at a quiet moment. Returns sentences."""
    faults = []
    needed = ("sluice_events_read_total", "sluice_events_settled_total", "sluice_events_returned_total",
              "sluice_events_in_flight", "sluice_units_opened_total", "sluice_units_total", "sluice_units_in_flight")
    for name in needed:
        if name not in metrics:
            faults.append(f"no metric {name}")
    open_events = 0
    for labels, read in metrics.get("sluice_events_read_total", {}).items():
        gone = sum(metrics.get(n, {}).get(labels, 0) for n in needed[1:3])
        open_events += read - gone
        if gone > read:
            faults.append(f"{dict(labels)}: read {read:.0f} < settled + returned {gone:.0f}")
    in_flight = total(metrics, "sluice_events_in_flight")
    if open_events != in_flight:
        faults.append(f"events read - settled - returned = {open_events:.0f}, but {in_flight:.0f} in flight")
    opened = total(metrics, "sluice_units_opened_total")
    ended = total(metrics, "sluice_units_total") + total(metrics, "sluice_units_in_flight")
    if opened != ended:
        faults.append(f"units opened {opened:.0f}, but verdicts + in flight {ended:.0f}")
    return faults
