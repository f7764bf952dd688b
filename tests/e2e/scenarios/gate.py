"""Targets that ask a cluster first: an application that sleeps is held, woken or skipped; what cannot be read is held."""
import json

from harness.registry import scenario
from harness.sleepers import Sleepers
from harness.stage import event


def each_policy(stage, cluster=None, until_awake=False):
    """Played on the stand-in here, on the original in machinery.py; until_awake: until what is held has gone out, too."""
    policies = {p: p for p in ("hold", "wake", "skip", "send")}
    it = Sleepers(stage, policies, cluster)
    for target in policies:
        it.apply("sleepy", target, slept=3)
        it.apply("early", target)
    stage.publish([event(0, app="sleepy"), event(1, app="early"), event(2, app="sleepy")])
    early = [f"{t}/e-00001" for t in policies]
    sent = [f"{t}/e-0000{n}" for t in ("send", "wake") for n in (0, 2)]
    stage.wait_done([*sent, *early], 30)
    it.wait_held("hibernating", "hold")
    it.demand_calls(*sent, *early)
    it.demand_woken("sleepy", "wake")
    for target in ("hold", "skip", "send"):
        replicas, notes = it.look("sleepy", target)
        stage.demand((replicas, len(notes)) == (0, 2), f"{target} changed what it may not: {replicas} {notes}")
    steps = json.dumps(it.story()["steps"])
    stage.demand("hibernating" in steps, f"why it waits is not told: {steps}")
    if until_awake:
        it.wake("sleepy", "hold")
        sent += ["hold/e-00000", "hold/e-00002"]
        stage.wait_done(sent, 60)
    stage.wait_drained()
    for n in (0, 2):
        ended = it.ended(n)
        stage.demand(ended["skip"] == ("skipped", "hibernating"), f"skip: {ended}")
        stage.demand({ended[u.split("/")[0]][0] for u in sent} == {"triggered"}, f"ended: {ended}")
    it.demand_calls(*sent, *early)
    tries = {r.attempt for r in stage.target.requests()}
    stage.demand(tries == {1} and not stage.dead(), f"waiting used up tries: {tries}, dead: {stage.dead()}")
    stage.stop_all()


@scenario(brokers=("mock",), timeout_s=90, long=True)
def held_until_awake(stage):
    """What is held for an application that sleeps goes out when somebody wakes it."""
    each_policy(stage, until_awake=True)


@scenario(brokers=("real", "mock"), timeout_s=90)
def a_policy_each(stage):
    """Sleeping: held, woken, skipped, sent all the same, as the target says; awake: sent. Each once, at the first try."""
    each_policy(stage)


@scenario(brokers=("mock",), timeout_s=90)
def what_cannot_be_read_is_held(stage):
    """A kind that may not be listed, then a cluster that has gone: held and said why, never skipped, sent afterwards."""
    it = Sleepers(stage, {"hold": "hold", "skip": "skip", "wake": "wake"},
                  cluster_check={"every": "1s", "timeout": "500ms"})
    for target in ("hold", "skip", "wake"):
        it.apply("early", target)
        it.apply("late", target)
    it.cluster.rules({"of": "list", "path": "statefulsets", "status": 403})
    stage.publish([event(0, app="early")])
    it.wait_held("app-unknown", "hold", "skip", "wake")
    it.cluster.child.freeze()
    stage.publish([event(1, app="late")])
    it.wait_held("cluster-unreachable", "hold", "skip", "wake")
    stage.demand(not it.calls(), f"called: {it.calls()}")
    it.cluster.child.thaw()
    it.cluster.rules()
    stage.wait_done([f"{t}/e-0000{n}" for t in ("hold", "skip", "wake") for n in (0, 1)], 30)
    stage.wait_drained()
    stage.demand({v for n in (0, 1) for v, _ in it.ended(n).values()} == {"triggered"}, f"{it.ended(0)} {it.ended(1)}")
    it.demand_calls(*(f"{t}/e-0000{n}" for t in ("hold", "skip", "wake") for n in (0, 1)))
    stage.stop_all()


@scenario(brokers=("mock",), timeout_s=90)
def killed_while_waking(stage):
    """kill -9 between the first and the second of three workloads: another consumer wakes the rest and calls once."""
    it = Sleepers(stage, {"wake": "wake"})
    for part in ("web", "jobs", "mail"):
        it.apply("shop", "wake", name=part, slept=3)
    it.cluster.rules({"of": "patch", "skip": 1, "times": 1, "act": "hang"})
    stage.publish([event(0, app="shop")])
    it.cluster.wait(of="patch", calls=2)
    stage.demand(not it.calls(), f"called while asleep: {it.calls()}")
    stage.workers["w1"].kill()
    stage.worker("w2")
    stage.wait_done(["wake/e-00000"], 60)
    stage.wait_drained()
    for part in ("web", "jobs", "mail"):
        it.demand_woken(part, "wake")
    stage.demand(it.ended()["wake"][0] == "triggered", f"ended: {it.ended()}")
    it.demand_calls("wake/e-00000")
    stage.stop_all()


@scenario(brokers=("mock",), timeout_s=60)
def stopped_while_waking(stage):
    """SIGTERM while the first of two workloads is patched: that one is finished, the next not begun; the next consumer goes on."""
    it = Sleepers(stage, {"wake": "wake"})
    for part in ("web", "mail"):
        it.apply("shop", "wake", name=part, slept=3)
    it.cluster.rules({"of": "patch", "delay_ms": 1500})
    stage.publish([event(0, app="shop")])
    it.cluster.wait(of="patch", calls=1)
    stage.stop_all(codes=(0, 75))
    answers = [r[2] for r in it.cluster.requests() if r[0] == "PATCH"]
    stage.demand(answers == [200], f"patches were answered {answers}")
    stage.demand(sorted(it.look(p, "wake")[0] for p in ("web", "mail")) == [0, 3] and not it.calls(), "it did more than that")
    it.cluster.rules()
    stage.fleet(1, first=2)
    stage.wait_done(["wake/e-00000"], 30)
    for part in ("web", "mail"):
        it.demand_woken(part, "wake")
    stage.wait_drained()
    it.demand_calls("wake/e-00000")
    stage.stop_all()


@scenario(brokers=("mock",), timeout_s=60)
def another_writer_is_quicker(stage):
    """The workload changes between look and patch, twice: read again, and both writers' annotations are there."""
    it = Sleepers(stage, {"wake": "wake"})
    it.apply("shop", "wake", slept=3)
    path = it.path("shop", "wake")
    it.cluster.rules(*({"of": "patch", "times": 1, "act": "before",
                        "before": {"path": path, "merge": {"metadata": {"annotations": {f"by-{n}": "another"}}}}}
                       for n in range(2)))
    stage.publish([event(0, app="shop")])
    stage.wait_done(["wake/e-00000"], 30)
    it.demand_woken("shop", "wake", **{"by-0": "another", "by-1": "another"})
    answers = [r[2] for r in it.cluster.requests() if r[0] == "PATCH"]
    stage.demand(answers == [409, 409, 200], f"patches were answered {answers}")
    stage.wait_drained()
    it.demand_calls("wake/e-00000")
    stage.stop_all()


@scenario(brokers=("mock",), timeout_s=60)
def many_ask_once(stage):
    """40 events of one application that sleeps: few questions, one waking, each event called once and in order."""
    it = Sleepers(stage, {"wake": "wake"})
    it.apply("shop", "wake", slept=3)
    batch = [event(n, app="shop") for n in range(40)]
    stage.publish(batch)
    stage.wait_done([f"wake/{e['id']}" for e in batch], 30)
    counts = it.cluster.counts()
    stage.demand(counts["patch"] == 1, f"patched {counts['patch']} times")
    stage.demand(counts["list"] <= 40, f"{counts['list']} lists for one application")
    order = [r.key for r in stage.target.requests()]
    stage.demand(order == [f"wake/{e['id']}" for e in batch], f"called in this order: {order}")
    stage.judge()
    stage.stop_all()
