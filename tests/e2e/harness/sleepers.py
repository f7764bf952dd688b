"""A fleet whose targets ask a cluster before they are called, and what is asked of it. The cluster is the stand-in
(kube.KubeApi) or the original (machinery.Machinery)."""
import json
import os

from .kube import SLEEP, KubeApi, deployment
from .kube_store import workload
from .operator import ask
from .proc import wait_for


class Sleepers:
    """targets: {name: policy}; the target `t` asks about the namespace in-t. gate: what all of them say besides."""

    def __init__(self, stage, targets, cluster=None, gate=None, fleet=1, **changes):
        self.stage = stage
        self.cluster = cluster or stage.also(KubeApi(os.path.join(stage.folder, "kube")))
        self.real = hasattr(self.cluster, "kind")
        kinds = {"kinds": [f"{self.cluster.api}/{self.cluster.kind}"]} if self.real else {}
        gates = {t: {"gate": {"hibernating": policy, "namespace": f"in-{t}", **kinds, **(gate or {})}}
                 for t, policy in targets.items() if policy != "send"}
        stage.set_up(partitions=1, targets=tuple(targets), changes={
            "clusters": {"prod": {"kubeconfig": self.cluster.kubeconfig}}, "targets": gates, **changes})
        stage.fleet(fleet)

    def apply(self, app, target, slept=None, replicas=2, **more):
        """A workload of this application where this target looks."""
        kind = {"api": self.cluster.api, "kind": self.cluster.kind} if self.real else {}
        self.cluster.apply(workload(more.pop("name", app), f"in-{target}", replicas, slept, app, **kind, **more))

    def path(self, name, target):
        where = self.cluster.path if self.real else deployment
        return where(name, f"in-{target}")

    def wake(self, name, target, replicas=3):
        """As somebody else does."""
        self.cluster.change(self.path(name, target),
                            {"metadata": {"annotations": {SLEEP: "0"}}, "spec": {"replicas": replicas}})

    def look(self, name, target):
        """(replicas, annotations)"""
        obj = self.cluster.object(self.path(name, target))
        return obj["spec"]["replicas"], obj["metadata"]["annotations"]

    def demand_woken(self, name, target, replicas=3, **notes):
        """As many replicas as it had, and every annotation of others as it was."""
        found = self.look(name, target)
        wanted = (replicas, {"team": "payments", **notes, SLEEP: "0"})
        self.stage.demand(found == wanted, f"{name} is {found}, not {wanted}")

    def held(self, reason):
        """The targets that have units which wait for this."""
        return set().union(*(w.held(reason) for w in self.stage.alive()))

    def wait_held(self, reason, *targets):
        wait_for(lambda: self.held(reason) >= set(targets), 20, f"{', '.join(targets)} to be held: {reason}", 0.1,
                 alive=self.stage.alive())

    def story(self, number=0):
        return json.loads(ask(self.stage, "trace", "--json", f"e-{number:05d}")[0])

    def ended(self, number=0):
        """{target: (verdict, reason)}"""
        return {u["target"]: (u["verdict"], u.get("reason", "")) for u in self.story(number)["units"]}

    def calls(self):
        return sorted(r.key for r in self.stage.target.requests())

    def demand_calls(self, *units):
        """These and no others, each once."""
        self.stage.demand(self.calls() == sorted(units), f"called: {self.calls()}, not {sorted(units)}")
