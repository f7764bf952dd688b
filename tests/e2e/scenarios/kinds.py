"""Each kind of CD system, called by a fleet as configuration says it, answered as the real one does: what came out of it."""
import collections
import json
import os
import re
import urllib.parse

from harness.cd_answers import SCENES, SECRETS
from harness.cd_client import Cd
from harness.config import merge
from harness.operator import ask
from harness.proc import Failure, wait_for
from harness.registry import scenario
from harness.stage import event

# What configuration says of each kind beside kind, url and token.
PATHS = {"argo-workflows": "/api/v1/workflows/ci/submit", "argo-events": "/push",
         "github-dispatch": "/repos/acme/deploy/dispatches",
         "github-workflow": "/repos/acme/deploy/actions/workflows/deploy.yml/dispatches",
         "gitlab": "/api/v4/projects/acme%2F${event.app}/trigger/pipeline",
         "jenkins": "/job/cd/job/${event.app}/buildWithParameters", "spinnaker": "/webhooks/webhook/sluice",
         "tekton": "/", "flux": "/hook/" + "0" * 63 + "1",
         "harness": "/gateway/pipeline/api/webhook/custom/abc/v3?accountIdentifier=a&orgIdentifier=o&projectIdentifier=p"
                    "&pipelineIdentifier=d&triggerIdentifier=t",
         "devtron": "/orchestrator/webhook/ext-ci/7", "standard-webhooks": "/hook"}
BODIES = {"argo-workflows": {"resourceKind": "WorkflowTemplate", "resourceName": "deploy",
                             "submitOptions": {"parameters": ["commit=${event.commit}"]}},
          "jenkins": {"APP": "${event.app}", "NOTE": "a=b & c=d"}}

End = collections.namedtuple("End", "verdict reason calls", defaults=("", 1))
DEAD = "dead"
# How each scene of cd_answers.py ends. argocd-window is another scenario: it waits a minute.
ENDS = {
    "argocd-ok": End("triggered"), "argocd-busy": End("triggered", calls=3), "argocd-rbac": End(DEAD, "http_403"),
    "argocd-deleting": End(DEAD, "deleting"),
    "workflows-ok": End("triggered"), "workflows-already": End("duplicate", "already-there"),
    "events-ok": End("triggered"),
    "dispatch-ok": End("triggered"), "dispatch-rate": End("triggered", calls=2),
    "dispatch-secondary": End("triggered", calls=2), "dispatch-denied": End(DEAD, "http_403"),
    "workflow-ok": End("triggered"), "workflow-run": End("triggered"), "workflow-none": End(DEAD, "http_422"),
    "gitlab-ok": End("triggered"),
    "jenkins-ok": End("triggered"), "jenkins-refused": End(DEAD, "nothing-started"),
    "jenkins-disabled": End(DEAD, "not-buildable"),
    "gwt-ok": End("triggered"), "gwt-filtered": End(DEAD, "nothing-started"),
    "spinnaker-ok": End("triggered"), "spinnaker-nothing": End(DEAD, "nothing-started"),
    "tekton-ok": End("triggered"), "flux-ok": End("triggered"), "flux-suspended": End("triggered", calls=2),
    "harness-ok": End("triggered"), "devtron-ok": End("triggered"),
    "webhook-ok": End("triggered"), "webhook-gone": End(DEAD, "gone"),
}
# The rest of what each is known to answer.
REFUSALS = {
    "argocd-other": End(DEAD, "auto-sync"), "argocd-unknown": End(DEAD, "http_404"),
    "workflows-race": End("triggered", calls=2), "workflows-unknown": End(DEAD, "http_404"),
    "events-refused": End(DEAD, "http_400"), "events-denied": End(DEAD, "http_401"), "events-bus": End("triggered", calls=2),
    "dispatch-many": End("triggered", calls=2), "dispatch-unknown": End(DEAD, "http_404"),
    "gitlab-empty": End(DEAD, "nothing-started"), "gitlab-denied": End(DEAD, "http_401"),
    "gitlab-unknown": End(DEAD, "http_404"), "gitlab-many": End("triggered", calls=2),
    "gwt-unknown": End(DEAD, "http_404"), "gwt-whitelist": End(DEAD, "http_403"), "gwt-broken": End("triggered", calls=2),
    "tekton-refused": End(DEAD, "http_400"), "tekton-broken": End("triggered", calls=2),
    "flux-refused": End(DEAD, "http_400"), "flux-unknown": End(DEAD, "http_404"), "flux-large": End(DEAD, "http_413"),
    "flux-partly": End("triggered", calls=2),
    "harness-failed": End(DEAD, "nothing-started"),
    "devtron-denied": End(DEAD, "http_401"), "devtron-twice": End(DEAD, "http_409"),
    "devtron-broken": End("triggered", calls=2),
}


def target(cd, scene):
    """As little as configuration must say."""
    kind = SCENES[scene][0]
    said = {"kind": kind, "url": cd.url(scene) + PATHS.get(kind, "")}
    if kind in ("flux", "standard-webhooks"):
        said["sign_secret"] = kind
    elif kind in SECRETS:
        said["token"] = kind
    return {**said, "body": BODIES[kind]} if kind in BODIES else said


def set_up(stage, scenes, **changes):
    """A fleet of one that calls these, and knows nothing else."""
    cd = stage.also(Cd(os.path.join(stage.folder, "cd"), *scenes))
    for kind, secret in SECRETS.items():
        with open(os.path.join(stage.folder, f"secret-{kind}"), "w", encoding="ascii") as f:
            f.write(secret)
    retry = {"retry": {"hold": "2s", "backoff": "1ms..1ms"}}
    stage.set_up(partitions=1, targets=(), changes=merge({
        "secrets": {k: {"file": os.path.join(stage.folder, f"secret-{k}")} for k in SECRETS},
        "targets": {scene: {**target(cd, scene), **retry} for scene in scenes}}, changes))
    stage.fleet(1)
    return cd


def ended(stage):
    """The units of e-00000 that are at their end."""
    try:
        units = json.loads(ask(stage, "trace", "--json", "e-00000")[0])["units"]
    except Failure:
        return {}  # nothing is told yet
    return {u["target"]: u for u in units if u["verdict"] not in ("", "none", "deferred")}


def read_requests(stage, cd):
    """What the stand-ins themselves do not look at."""
    for r in cd.requests():
        stage.demand(not r["refused"], f"{r['scene']} refuses {r['method']} {r['path']}: {r['headers']} {r['body'][:300]}")
        secret = SECRETS[SCENES[r["scene"]][0]]
        stage.demand(secret not in r["path"] + json.dumps(r["query"]), f"{r['scene']}: a secret is in the address")
    by_scene = {r["scene"]: r for r in cd.requests()}
    keys = {s: f"{s}/e-00000" for s in by_scene}
    body = {s: r["body"] for s, r in by_scene.items()}
    stage.demand(keys["argocd-ok"] in body["argocd-ok"], f"Argo CD's infos have no key: {body['argocd-ok']}")
    name = json.loads(body["workflows-ok"])["submitOptions"]["name"]
    stage.demand(re.fullmatch(r"sluice-[0-9a-f]{32}", name), f"the workflow is called {name}")
    form = dict(urllib.parse.parse_qsl(body["jenkins-ok"]))
    stage.demand(form == {"APP": "app-1", "NOTE": "a=b & c=d", "SLUICE_KEY": keys["jenkins-ok"]}, f"Jenkins' form: {form}")
    for scene in ("jenkins-ok", "gitlab-ok", "dispatch-ok"):
        stage.demand("e-00000" in body[scene], f"{scene} is told no key: {body[scene]}")
    for scene, r in by_scene.items():
        stage.demand(r["headers"].get("idempotency-key") == keys[scene], f"{scene}: {r['headers']}")


def play(stage, ends):
    """One event, a target for each of these scenes; returns the stand-ins once each unit has ended as it should."""
    cd = set_up(stage, list(ends))
    stage.publish([event(0, app="app-1", branch="main")])
    cd.ask("/wait", {"calls": len(ends)})
    wait_for(lambda: len(ended(stage)) == len(ends), 60, "each unit to end", 0.3, alive=stage.alive())
    stage.wait_drained()
    calls = collections.Counter(r["scene"] for r in cd.requests())
    found = {s: End(u["verdict"], u.get("reason", ""), calls[s]) for s, u in ended(stage).items()}
    wrong = [f"{s}: {tuple(found[s])}, not {tuple(e)}" for s, e in ends.items() if found[s] != e]
    stage.demand(not wrong, "; ".join(wrong))
    dead = stage.dead()
    stage.demand(sorted(dead) == sorted(f"{s}/e-00000" for s, e in ends.items() if e.verdict == DEAD), f"dead: {sorted(dead)}")
    for scene, end in ends.items():
        if end.verdict == DEAD:
            said = dead[f"{scene}/e-00000"]["headers"].get("sluice-reason")
            stage.demand(said == end.reason, f"{scene} died of {said}, not {end.reason}")
    wanted = collections.Counter(e.verdict for e in ends.values())
    counted = {v: stage.workers["w1"].verdicts(v) for v in wanted}
    stage.demand(counted == dict(wanted), f"counted: {counted}, not {dict(wanted)}")
    for secret in SECRETS.values():
        stage.demand(secret not in stage.workers["w1"].log(), "a secret is in the log")
    return cd


@scenario(brokers=("mock",), timeout_s=120)
def every_answer(stage):
    """One event, a target for each kind and mood: each ends as its system's answer says, with its reason."""
    read_requests(stage, play(stage, ENDS))
    triggered = "\n".join(x for x in ask(stage, "trace", "e-00000")[0].splitlines() if x.startswith("triggered"))
    stage.demand("eventID 14a657c3" in triggered, f"no word of Tekton's event: {triggered}")
    stage.demand("in progress" not in triggered, f"words of a failure that is over: {triggered}")
    stage.stop_all()


@scenario(brokers=("mock",), timeout_s=120)
def every_refusal(stage):
    """The same of what else they are known to say: who is refused is dead with the reason, who is told to come again comes."""
    cd = play(stage, REFUSALS)
    refused = [r for r in cd.requests() if r["refused"]]
    stage.demand(not refused, f"a request is not as the system wants it: {refused}")
    stage.stop_all()


@scenario(brokers=("mock",), timeout_s=120)
def sent_again_after_a_loss(stage):
    """Redis forgets everything and the event comes again: the deterministic name makes Argo Workflows say it was there."""
    cd = set_up(stage, ["workflows-ok"])
    stage.publish([event(0)])
    cd.wait("workflows-ok", 1)
    stage.wait_drained()
    cd.answers(**{"workflows-ok": [[409, {}, {"code": 6, "message": 'workflows.argoproj.io "x" already exists'}]]})
    stage.redis.ask("FLUSHALL")
    stage.publish([event(0)])
    cd.wait("workflows-ok", 2)
    stage.wait_drained()
    names = {json.loads(r["body"])["submitOptions"]["name"] for r in cd.requests()}
    stage.demand(len(names) == 1, f"two names for one trigger: {names}")
    stage.demand(ended(stage)["workflows-ok"]["reason"] == "already-there", f"ended: {ended(stage)}")
    stage.demand(not stage.dead(), f"dead: {stage.dead()}")
    stage.stop_all()


PHASES = {"argocd-ok": "running", "workflows-ok": "failed", "workflow-run": "succeeded", "gitlab-ok": "cancelled",
          "jenkins-ok": "running", "gwt-ok": "pending", "harness-ok": "running"}


@scenario(brokers=("mock",), timeout_s=60)
def how_runs_go(stage):
    """Each system whose runs can be asked about is asked, with its credential, where its own answer said; the rest is not."""
    scenes = [*PHASES, "spinnaker-ok", "dispatch-ok"]
    cd = set_up(stage, scenes, targets={"gitlab-ok": {"headers": {"private-token": "glpat-reader"}}})
    stage.publish([event(0, app="app-1")])
    wait_for(lambda: len(ended(stage)) == len(scenes), 30, "each unit to end", 0.3, alive=stage.alive())
    told = json.loads(ask(stage, "workflow", "--json", "app-1")[0])["cd"]["targets"]
    found = {t["target"]: t["live"].get("phase") for t in told if t["live"]["status"] == "ok"}
    stage.demand(found == PHASES, f"{found}, not {PHASES}: {told}")
    asked = {r["scene"]: r for r in cd.requests() if r["method"] == "GET"}
    stage.demand(set(asked) == set(PHASES), f"asked: {sorted(asked)}")
    for secret in (*SECRETS.values(), "glpat-reader"):
        stage.demand(secret not in json.dumps(told) + stage.workers["w1"].log(), "a secret is told")
    stage.stop_all()


@scenario(brokers=("mock",), timeout_s=60)
def a_sync_window_is_waited_for(stage):
    """Argo CD's window is closed, in the words of two versions: held, and said why; no try is used up, nothing dies."""
    scenes = ["argocd-window", "argocd-window-old"]
    cd = set_up(stage, scenes)
    stage.publish([event(0)])

    wait_for(lambda: stage.workers["w1"].held("sync-window") == set(scenes), 20, "the units to be held", 0.1,
             alive=stage.alive())
    told = ask(stage, "trace", "e-00000")[0]
    stage.demand("sync-window" in told and "blocked by sync window" in told, f"the trace says {told}")
    stage.demand(len(cd.requests()) == 2 and not stage.dead(), f"{len(cd.requests())} calls, dead: {stage.dead()}")
    stage.stop_all()


@scenario(brokers=("mock",), timeout_s=180, long=True)
def a_sync_window_opens(stage):
    """The same until the window opens, a minute later: both triggers of a batch, the second of which asked nobody, go
    out, and the minute counts as no try."""
    cd = set_up(stage, ["argocd-window"], targets={"argocd-window": {"retry": {"budget": "30s"}}})
    stage.publish([event(0, app="app-1"), event(1, app="app-1")])
    cd.wait("argocd-window", 3, timeout_s=120)
    keys = [r["headers"]["idempotency-key"][-7:] for r in cd.requests()]
    stage.demand(sorted(keys) == ["e-00000", "e-00000", "e-00001"], f"called: {keys}")
    wait_for(lambda: ended(stage), 20, "the unit to end", 0.3, alive=stage.alive())
    stage.demand(ended(stage)["argocd-window"]["verdict"] == "triggered", f"ended: {ended(stage)}")
    stage.demand(not stage.dead(), f"dead: {stage.dead()}")
    stage.stop_all()
