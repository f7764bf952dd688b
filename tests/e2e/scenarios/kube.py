"""Clusters and their objects, asked by an operator: one command, one console, no fleet."""
import json
import os
import socket
import subprocess
import urllib.parse
import urllib.request

from harness.config import merge, to_yaml
from harness.kube import KubeApi
from harness.kube_store import workload
from harness.operator import console_at
from harness.proc import now
from harness.registry import scenario

MISSING, UNAVAILABLE, REFUSED, CONFIG = 1, 69, 77, 78


def config(stage, clusters, **more):
    """A file that names these clusters: {name: what configuration says of it}."""
    path = os.path.join(stage.folder, "kube.yaml")
    base = {"kafka": {"brokers": ["127.0.0.1:1"], "topic": "ci", "group": "fleet"}, "redis": {"url": "redis://127.0.0.1:1"},
            "clusters": clusters, "targets": {"a": {"url": "http://127.0.0.1:1/"}}}
    with open(path, "w", encoding="utf-8") as f:
        f.write(to_yaml(merge(base, more)))
    return path


def run(stage, clusters, *words, code=0):
    """(stdout, stderr) of `kube ...`."""
    out = subprocess.run([stage.consumer, "kube", *words, "-c", config(stage, clusters)], capture_output=True, text=True,
                         timeout=60, stdin=subprocess.DEVNULL)
    stage.demand(out.returncode == code, f"kube {' '.join(words)[:200]}: exit code {out.returncode}, not {code}: "
                                         f"{(out.stderr or out.stdout)[-300:]}")
    return out.stdout, out.stderr


def get(stage, kubeconfig, *refs, code=0, context=None, words=()):
    """What `kube get -o json` says."""
    said = {"kubeconfig": kubeconfig, **({"context": context} if context else {})}
    return run(stage, {"prod": said}, "get", "--cluster", "prod", "-o", "json", *words, *refs, code=code)[0]


def items(text):
    return json.loads(text)["items"]


def name(item):
    return item.get("manifest", {}).get("metadata", {}).get("name")


@scenario(brokers=("none",), timeout_s=60)
def many_objects(stage):
    """100 objects of 100 namespaces in the order asked for: 100 GETs, one discovery, ten at a time; then what is not there."""
    api = stage.also(KubeApi(os.path.join(stage.folder, "kube"), tls=True, objects=100, delay="20ms"))
    refs = [f"apps/v1/Deployment/ns-{n}/app-{n}" for n in reversed(range(100))]
    found = [name(i) for i in items(get(stage, api.kubeconfig, *refs, words=("--width", "10")))]
    stage.demand(found == [f"app-{n}" for n in reversed(range(100))], f"came back: {found}")
    counts = api.counts()
    stage.demand((counts["get"], counts["list"], counts["other"]) == (100, 0, 0), f"asked: {counts}")
    stage.demand(counts["discovery"] <= 1, f"discovery: {counts}")
    stage.demand(counts["open_max"] == 10, f"at a time: {counts}")
    api.reset()
    mixed = [*refs[:2], "apps/v1/Deployment/ns-1/nobody", "v1/Node/n1", "apps/v1/Nothing/ns-1/x", refs[3]]
    found = items(get(stage, api.kubeconfig, *mixed, code=MISSING))
    stage.demand([name(i) for i in found] == ["app-99", "app-98", None, None, None, "app-96"], f"came back: {found}")
    stage.demand(all(i.get("error") for i in found[2:5]), f"no reason is given: {found[2:5]}")
    stage.demand("not found" in json.dumps(found[2]), f"not the cluster's own words: {found[2]}")


@scenario(brokers=("none",), timeout_s=60)
def one_list_for_many(stage):
    """30 objects of one kind and namespace, two asked for twice: one LIST by pages; refused, it becomes GETs."""
    api = stage.also(KubeApi(os.path.join(stage.folder, "kube"), tls=True))
    api.apply(*(workload(f"a-{n}", "one") for n in range(30)))
    refs = [f"apps/v1/Deployment/one/a-{n}" for n in [*range(30), 3, 4]]
    wanted = [r.rsplit("/", 1)[1] for r in refs]
    for context in ("cert", "token"):
        found = items(get(stage, api.kubeconfig, *refs, context=context))
        stage.demand([name(i) for i in found] == wanted, f"came back: {[name(i) for i in found]}")
        kinds = {(i["manifest"].get("apiVersion"), i["manifest"].get("kind")) for i in found}
        stage.demand(kinds == {("apps/v1", "Deployment")}, f"what a LIST leaves out is not put back: {kinds}")
    counts = api.counts()
    stage.demand((counts["list"], counts["get"]) == (2, 0), f"asked: {counts}")
    api.reset()
    api.rules({"of": "list", "status": 403})
    found = items(get(stage, api.kubeconfig, *refs))
    stage.demand([name(i) for i in found] == wanted, f"came back: {[name(i) for i in found]}")
    stage.demand(api.counts()["get"] == 30, f"asked: {api.counts()}")


@scenario(brokers=("none",), timeout_s=60)
def what_was_read_in_time(stage):
    """A deadline keeps what is there: some hang, the rest came back, and those that hang say that they were late."""
    api = stage.also(KubeApi(os.path.join(stage.folder, "kube"), objects=20))
    api.rules({"of": "get", "path": "app-7", "act": "hang"}, {"of": "get", "path": "app-9", "act": "hang"})
    refs = [f"apps/v1/Deployment/ns-{n}/app-{n}" for n in range(20)]
    began = now()
    found = items(get(stage, api.kubeconfig, *refs, words=("--timeout", "1s", "--width", "5"), code=UNAVAILABLE))
    late = [n for n, i in enumerate(found) if not name(i)]
    stage.demand(late == [7, 9], f"late: {late}")
    stage.demand(now() - began < 10, "it did not end at its deadline")
    stage.demand(all(i.get("error") for i in (found[7], found[9])), f"no reason is given: {found[7]}")
    api.wait(left=2)


@scenario(brokers=("none",), timeout_s=60)
def who_is_asked_and_how(stage):
    """Credentials that are wrong, a certificate of another, nobody there, a busy API: exit codes, and a next step."""
    api = stage.also(KubeApi(os.path.join(stage.folder, "kube"), tls=True, objects=1))
    ref = "apps/v1/Deployment/ns-0/app-0"
    for context in ("token", "cert", "basic"):
        stage.demand(name(items(get(stage, api.kubeconfig, ref, context=context))[0]) == "app-0", context)
    for context, code in (("bad-token", REFUSED), ("nobody", REFUSED), ("wrong-ca", UNAVAILABLE)):
        get(stage, api.kubeconfig, ref, context=context, code=code)
    api.rules({"of": "get", "status": 429, "retry_after": 0, "times": 2})
    get(stage, api.kubeconfig, ref)
    answers = [r[2] for r in api.requests() if "app-0" in r[1]][-3:]
    stage.demand(answers == [429, 429, 200], f"answered {answers}")
    for fault in ({"kubeconfig": os.path.join(stage.folder, "nowhere")}, {"kubeconfig": api.kubeconfig, "context": "none"}):
        run(stage, {"prod": fault}, "get", "--cluster", "prod", ref, code=CONFIG)
    run(stage, {"prod": {"kubeconfig": api.kubeconfig}}, "get", "--cluster", "other", ref, code=CONFIG)
    api.stop()
    get(stage, api.kubeconfig, ref, code=UNAVAILABLE)


@scenario(brokers=("none",), timeout_s=60)
def objects_by_the_console(stage):
    """GET /api/v1/manifests: in order, with what is not there; a reader that leaves lets go of the cluster at once."""
    api = stage.also(KubeApi(os.path.join(stage.folder, "kube"), objects=10))
    url = console_at(stage, config(stage, {"prod": {"kubeconfig": api.kubeconfig}}))
    refs = [f"apps/v1/Deployment/ns-{n}/app-{n}" for n in (3, 1, 2)] + ["apps/v1/Deployment/ns-1/nobody"]
    query = urllib.parse.urlencode([("cluster", "prod"), *(("ref", r) for r in refs)])
    with urllib.request.urlopen(f"{url}/api/v1/manifests?{query}", timeout=20) as answer:
        found = items(answer.read())
    stage.demand([name(i) for i in found] == ["app-3", "app-1", "app-2", None], f"came back: {found}")
    api.rules({"of": "get", "act": "hang"})
    reader = socket.create_connection(url.removeprefix("http://").split(":"))
    reader.sendall(f"GET /api/v1/manifests?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    api.wait(open=4)
    reader.close()
    api.wait(left=4)  # long before the 5 s of the call: wait's own limit is not what ends this
    stage.demand(api.counts()["get"] == 8, f"asked on: {api.counts()}")
