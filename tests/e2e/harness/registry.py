"""Scenarios announce themselves here; run.py plays them."""
import collections

Scenario = collections.namedtuple("Scenario", "name play brokers timeout_s long alone doc")
SCENARIOS = []


def scenario(brokers=("real",), timeout_s=120, long=False, alone=False):
    """brokers: which it can be played on: real (Apache Kafka), mock (librdkafka's mock cluster), none.
    long: only played with --long or when asked for by name. alone: it hurts the broker that others share."""
    def announce(play):
        area = play.__module__.split(".")[-1].replace("_", "-")
        name = f"{area}/{play.__name__.replace('_', '-')}"
        SCENARIOS.append(Scenario(name, play, tuple(brokers), timeout_s, long, alone, (play.__doc__ or "").strip()))
        return play
    return announce
