"""Clusters that are watched: a sweep of many in all states, and what a worker says of its own."""
import copy
import json
import os
import subprocess

from harness.config import to_yaml
from harness.kube import KubeApi
from harness.proc import wait_for
from harness.registry import scenario
from scenarios.control import reload
from scenarios.kube import config

HANGING, REFUSING, WRONG_CA, BAD_TOKEN, VIRTUAL, DENIED, SICK = (0, 1, 39), (5, 20), 11, 12, (6, 33), 13, 14


def kubeconfigs(stage, api):
    """Forty clusters behind one address: {name: what configuration says of it}."""
    with open(api.kubeconfig, encoding="utf-8") as f:
        whole = json.load(f)
    said = {}
    for n in range(40):
        name = f"c{n:02d}"
        one = copy.deepcopy(whole)
        one["current-context"] = "wrong-ca" if n == WRONG_CA else "bad-token" if n == BAD_TOKEN else "token"
        for cluster in one["clusters"]:
            address = cluster["cluster"]["server"]
            cluster["cluster"]["server"] = "https://127.0.0.1:1" if n in REFUSING else f"{address}/clusters/{name}"
        path = os.path.join(stage.folder, f"{name}.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(one, f)
        said[name] = {"virtual": True} if n in VIRTUAL else {"kubeconfig": path}
    return said


def state_of(n):
    for state, those in (("timeout", HANGING), ("unreachable", REFUSING), ("tls-error", (WRONG_CA,)),
                         ("unauthorized", (BAD_TOKEN,)), ("virtual", VIRTUAL), ("forbidden", (DENIED,)),
                         ("unhealthy", (SICK,))):
        if n in those:
            return state
    return "connected"


@scenario(brokers=("none",), timeout_s=60)
def forty_in_all_states(stage):
    """3 of 40 hang, 2 refuse, 1 has another certificate, 2 are virtual, others refuse us or are sick: each state is right,
    and the rest waits for nobody; the doctor says the same."""
    api = stage.also(KubeApi(os.path.join(stage.folder, "kube"), tls=True))
    said = kubeconfigs(stage, api)
    api.rules(*({"cluster": f"c{n:02d}", "act": "hang"} for n in HANGING), {"cluster": f"c{DENIED:02d}", "status": 403},
              {"cluster": f"c{SICK:02d}", "status": 500, "body": "[+]ping ok\n[-]etcd failed: reason withheld\n"})
    path = config(stage, said, cluster_check={"width": 16, "timeout": "2s"})
    out = subprocess.run([stage.consumer, "kube", "clusters", "--json", "-c", path], capture_output=True, text=True,
                         timeout=30, stdin=subprocess.DEVNULL)
    answer = json.loads(out.stdout)
    found = {c["name"]: c["state"] for c in answer["clusters"]}
    stage.demand(found == {f"c{n:02d}": state_of(n) for n in range(40)}, f"states: {found}")
    stage.demand((out.returncode, answer["ok"]) == (69, False), f"exit code {out.returncode}, ok {answer['ok']}")
    slow = [c["name"] for c in answer["clusters"] if c.get("took_ms", 0) >= 2000]
    stage.demand(set(slow) == {f"c{n:02d}" for n in HANGING}, f"waited for: {slow}")
    counts = api.counts()
    stage.demand(counts["total"] == counts["health"] == 40 - len(VIRTUAL) - len(REFUSING) - 1, f"asked: {counts}")
    out = subprocess.run([stage.consumer, "doctor", "--json", "--timeout", "1s", "-c", path], capture_output=True, text=True,
                         timeout=60, stdin=subprocess.DEVNULL)
    marks = {c["name"]: c["mark"] for c in json.loads(out.stdout)["checks"]}
    wanted = {f"cluster c{n:02d}": {"connected": "ok", "virtual": "skipped"}.get(state_of(n), "failed") for n in range(40)}
    found = {name: mark for name, mark in marks.items() if name.startswith("cluster c")}
    stage.demand(found == wanted, f"the doctor: {found}")


def states(worker):
    """{cluster: state} of its metrics."""
    rows = worker.metrics().get("sluice_cluster_state", {})
    return {dict(labels)["cluster"]: dict(labels)["state"] for labels, on in rows.items() if on}


@scenario(brokers=("mock",), timeout_s=60)
def a_worker_watches_them(stage):
    """What a reload adds is looked at at once; one that falls ill is told, with the time when it was well."""
    api = stage.also(KubeApi(os.path.join(stage.folder, "kube")))
    said = {"east": {"kubeconfig": api.kubeconfig}}
    stage.set_up(partitions=1, changes={"clusters": said, "cluster_check": {"every": "10m", "timeout": "2s"}})
    stage.fleet(1)
    worker = stage.workers["w1"]
    wait_for(lambda: states(worker) == {"east": "connected"}, 10, "east to be connected", 0.05)
    said["west"] = {"kubeconfig": os.path.join(stage.folder, "later")}
    said["far"] = {"virtual": True}
    api.rules({"of": "health", "status": 500, "body": "[-]etcd failed: reason withheld\n"})
    reload(stage, worker, to_yaml(stage.config("w1", clusters=said)), "2 clusters added")
    wanted = {"east": "unhealthy", "west": "unknown", "far": "virtual"}
    wait_for(lambda: states(worker) == wanted, 10, f"{wanted}", 0.05)
    last_ok = {dict(k)["cluster"]: v for k, v in worker.metrics()["sluice_cluster_last_ok_timestamp_seconds"].items()}
    stage.demand(last_ok["east"] > 1e9 and last_ok["west"] == 0, f"last well: {last_ok}")
    del said["west"], said["far"]
    reload(stage, worker, to_yaml(stage.config("w1", clusters=said)), "2 clusters removed")
    wait_for(lambda: states(worker) == {"east": "unhealthy"}, 10, "the others to go", 0.05)
    stage.stop_all()
