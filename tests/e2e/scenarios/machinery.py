"""What asks a cluster, on the API machinery of Kubernetes itself: `make kube-check`."""
import json
import os
import ssl
import urllib.error
import urllib.request

from harness.kube import SLEEP, KubeApi
from harness.kube_api import TOKEN
from harness.kube_store import workload
from harness.machinery import Machinery
from harness.registry import scenario
from harness.sleepers import Sleepers
from harness.stage import event
from scenarios import gate, kube


def machinery(stage):
    return stage.also(Machinery(stage.programs, os.path.join(stage.folder, "kube")))


@scenario(brokers=("mock",), timeout_s=120, long=True)
def gates(stage):
    """gate/held-until-awake on the original."""
    gate.each_policy(stage, machinery(stage), until_awake=True)


@scenario(brokers=("mock",), timeout_s=120, long=True)
def waking_beside_another_writer(stage):
    """20 applications are woken while another writes annotations into them: nothing of either is lost."""
    cluster = machinery(stage)
    it = Sleepers(stage, {"wake": "wake"}, cluster)
    apps = [f"app-{n}" for n in range(20)]
    for app in apps:
        it.apply(app, "wake", slept=3)
    stage.publish([event(n, app=app) for n, app in enumerate(apps)])
    for round_ in range(3):
        for app in apps:
            cluster.change(it.path(app, "wake"), {"metadata": {"annotations": {f"round-{round_}": "written"}}})
    stage.wait_done([f"wake/e-{n:05d}" for n in range(20)], 60)
    for app in apps:
        it.demand_woken(app, "wake", **{f"round-{n}": "written" for n in range(3)})
    stage.judge()
    stage.stop_all()


@scenario(brokers=("none",), timeout_s=120, long=True)
def manifests(stage):
    """kube get over TLS: objects with and without a namespace in the order asked, one that is not there, a kind that is not."""
    cluster = machinery(stage)
    for n in range(30):
        cluster.apply(workload(f"a-{n}", f"ns-{n % 3}", api=cluster.api, kind=cluster.kind))
    cluster.ask("POST", "/apis/argoproj.io/v1alpha1/fleets", {"apiVersion": "argoproj.io/v1alpha1", "kind": "Fleet",
                                                              "metadata": {"name": "all"}, "spec": {"size": 3}})
    refs = [f"argoproj.io/v1alpha1/Rollout/ns-{n % 3}/a-{n}" for n in reversed(range(30))]
    refs[10:10] = ["argoproj.io/v1alpha1/Fleet/all", "argoproj.io/v1alpha1/Rollout/ns-0/nobody"]
    out = kube.get(stage, cluster.kubeconfig, *refs, code=1)
    found = [r.get("manifest") or {} for r in json.loads(out)["items"]]
    names = [m.get("metadata", {}).get("name") for m in found]
    wanted = [None if r.endswith("nobody") else r.rsplit("/", 1)[1] for r in refs]
    stage.demand(names == wanted, f"came back: {names}")


@scenario(brokers=("none",), timeout_s=120, long=True)
def asleep_or_not(stage):
    """kube status with the usual kinds, of which this cluster has one: asleep, partly, awake, at zero by another, nobody."""
    cluster = machinery(stage)
    make = {"api": cluster.api, "kind": cluster.kind}
    cluster.apply(workload("a", "prod", slept=3, **make), workload("b", "prod", slept=3, instance="half", **make),
                  workload("c", "prod", instance="half", **make), workload("d", "prod", **make),
                  workload("e", "prod", replicas=0, **make))
    found = {}
    for app in ("a", "half", "d", "e", "nobody"):
        said = kube.run(stage, {"prod": {"kubeconfig": cluster.kubeconfig}}, "status", "--json", "-n", "prod", "-l",
                        f"app.kubernetes.io/instance={app}")[0]
        found[app] = json.loads(said)["state"]
    wanted = {"a": "hibernated", "half": "partially-hibernated", "d": "awake", "e": "scaled-to-zero", "nobody": "none"}
    stage.demand(found == wanted, f"{found}, not {wanted}")


@scenario(brokers=("none",), timeout_s=120, long=True)
def asleep_and_awake_by_hand(stage):
    """kube hibernate and kube wake: said first, done with --yes, as many replicas as before, and nothing else is touched."""
    cluster = machinery(stage)
    for n in range(3):
        cluster.apply(workload(f"a-{n}", "prod", replicas=n + 1, instance="a", api=cluster.api, kind=cluster.kind))

    def order(*words, code=0):
        kube.run(stage, {"prod": {"kubeconfig": cluster.kubeconfig}}, *words, "-n", "prod", "-l",
                 "app.kubernetes.io/instance=a", code=code)
        objects = [cluster.object(cluster.path(f"a-{n}")) for n in range(3)]
        return [(o["spec"]["replicas"], o["metadata"]["annotations"].get(SLEEP), o["metadata"]["annotations"]["team"])
                for o in objects]
    awake = [(n + 1, None, "payments") for n in range(3)]
    asleep = [(0, str(n + 1), "payments") for n in range(3)]
    again = [(n + 1, "0", "payments") for n in range(3)]
    for words, wanted in ((("hibernate",), awake), (("hibernate", "--yes"), asleep), (("hibernate", "--yes"), asleep),
                          (("wake",), asleep), (("wake", "--yes"), again), (("wake", "--yes"), again)):
        found = order(*words)
        stage.demand(found == wanted, f"kube {' '.join(words)} left {found}, not {wanted}")


ROLLOUTS = "/apis/argoproj.io/v1alpha1/namespaces/prod/rollouts"
TALK = [  # method, path, document, headers
    ("GET", "/livez", None, {}), ("GET", "/livez", None, {"Authorization": None}),
    ("GET", "/livez", None, {"Authorization": "Bearer wrong"}), ("GET", f"{ROLLOUTS}/a", None, {"Authorization": "Bearer x"}),
    ("GET", f"{ROLLOUTS}/nobody", None, {}), ("GET", "/apis/argoproj.io/v1alpha1/namespaces/prod/nothings/a", None, {}),
    ("GET", "/apis/nobody.io/v1", None, {}), ("GET", "/apis/argoproj.io/v9", None, {}),
    ("GET", "/apis/argoproj.io/v1alpha1", None, {}), ("GET", "/apis/argoproj.io", None, {}),
    ("GET", ROLLOUTS, None, {}), ("GET", "/apis/argoproj.io/v1alpha1/namespaces/empty/rollouts", None, {}),
    ("GET", "/apis/argoproj.io/v1alpha1/rollouts", None, {}),
    ("GET", f"{ROLLOUTS}?labelSelector=tier%3Dweb", None, {}), ("GET", f"{ROLLOUTS}?labelSelector=tier%21%3Dweb", None, {}),
    ("GET", f"{ROLLOUTS}?labelSelector=tier+in+%28web,jobs%29", None, {}), ("GET", f"{ROLLOUTS}?labelSelector=%21tier", None, {}),
    ("GET", f"{ROLLOUTS}?labelSelector=tier+notin+%28web%29", None, {}), ("GET", f"{ROLLOUTS}?labelSelector=tier", None, {}),
    ("GET", f"{ROLLOUTS}?fieldSelector=metadata.name%3Da", None, {}), ("GET", f"{ROLLOUTS}?limit=2", None, {}),
    ("PATCH", f"{ROLLOUTS}/a", {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 1}}, {}),
    ("PATCH", f"{ROLLOUTS}/nobody", {"spec": {"replicas": 1}}, {}),
    ("PATCH", f"{ROLLOUTS}/a", {"spec": {"replicas": 1}}, {"Content-Type": "application/json"}),
    ("PATCH", f"{ROLLOUTS}/a", [1], {}),
    ("PATCH", f"{ROLLOUTS}/a", {"metadata": {"annotations": {"x": "1", "team": None}}}, {}),
    ("PATCH", f"{ROLLOUTS}/a", {"metadata": {"annotations": {"x": "1"}}}, {}),
    ("PATCH", f"{ROLLOUTS}/a", {"spec": {"replicas": 5}}, {}),
    ("GET", f"{ROLLOUTS}/a", None, {}), ("DELETE", f"{ROLLOUTS}/a", None, {}), ("GET", f"{ROLLOUTS}/a", None, {}),
]


def essence(status, text):
    """What a client goes by."""
    try:
        doc = json.loads(text)
    except ValueError:
        return status, text.strip()
    if doc["kind"] == "Status":
        details = {k: v for k, v in doc.get("details", {}).items() if k != "uid"}
        return status, doc["status"], doc.get("reason"), doc.get("message") if status != 400 else "", details
    if doc["kind"] == "APIResourceList":
        return status, sorted((r["name"], r["kind"], r["namespaced"], sorted(set(r["verbs"]) - {"deletecollection"}))
                              for r in doc["resources"])
    if doc["kind"].endswith("List"):
        return (status, doc["kind"], doc["apiVersion"], bool(doc["metadata"].get("continue")),
                doc["metadata"].get("remainingItemCount"),
                [(o["kind"], o["apiVersion"], o["metadata"]["name"]) for o in doc["items"]])
    if "spec" in doc:
        meta = doc["metadata"]
        return status, doc["kind"], meta["generation"], meta.get("annotations"), doc["spec"], doc.get("status")
    return status, doc


@scenario(brokers=("none",), timeout_s=60, long=True)
def the_stand_in_says_the_same(stage):
    """The same dialogue with the stand-in and with the original: statuses, refusals, lists, patches are the same."""
    both = machinery(stage), stage.also(KubeApi(os.path.join(stage.folder, "stand-in"), tls=True, settle=3600000))
    for api in both:
        for name, tier in (("a", "web"), ("b", "jobs"), ("c", "mail"), ("d", None)):
            labels = {"tier": tier} if tier else {}
            api.apply(workload(name, "prod", api="argoproj.io/v1alpha1", kind="Rollout", metadata={"labels": labels}))
        api.talk_to = talker(api)
    differ = []
    for words in TALK:
        original, ours = (essence(*api.talk_to(*words)) for api in both)
        if original != ours:
            differ.append(f"{words}: the original says {original}, the stand-in {ours}")
    stage.demand(not differ, "\n".join(differ))


def talker(api):
    context = ssl.create_default_context(cafile=os.path.join(os.path.dirname(api.kubeconfig), "ca.crt"))

    def ask(method, path, document, headers):
        said = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/merge-patch+json", **headers}
        request = urllib.request.Request(f"https://{api.address}{path}", method=method,
                                         data=None if document is None else json.dumps(document).encode(),
                                         headers={k: v for k, v in said.items() if v is not None})
        try:
            with urllib.request.urlopen(request, timeout=10, context=context) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()
    return ask
