"""Tokens: who may read what, who may act on what, and what becomes of it when the configuration is another."""
import http.client
import json
import os
import signal

from harness.browser import Browser
from harness.config import merge, to_yaml
from harness.proc import Child, free_port, wait_for
from harness.registry import scenario
from harness.sse import Listener
from harness.stage import event

TOKENS = {name: f"{name}-has-a-token-of-its-own-0123456789" for name in ("ann", "root", "bob")}
ROLES = {"payments": {"allow": ["read apps/payments-*", "read deadletters", "read fleet", "read stream", "pause targets/a"]},
         "admin": {"allow": ["* *"]}, "nothing": {"allow": ["read apps/none"]}}


def bearer(name):
    return {"Authorization": "Bearer " + TOKENS[name]}


def secured(stage):
    """What the configuration says of them; the texts are in files."""
    secrets = {}
    for name, text in TOKENS.items():
        path = os.path.join(stage.folder, "token-" + name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        secrets[name] = {"file": path}
    tokens = {name: {"secret": name, "roles": [role]} for name, role in
              (("ann", "payments"), ("root", "admin"), ("bob", "nothing"))}
    return {"secrets": secrets, "roles": ROLES, "tokens": tokens, "access": {"parts": 3}}


class Console(Child):
    def __init__(self, stage):
        self.port = free_port()
        worker = next(iter(stage.workers.values()))
        super().__init__("console", [stage.consumer, "console", "-c", worker.config_path, "--listen", f"127.0.0.1:{self.port}",
                                     "--set", "console.read_only=false"], os.path.join(stage.folder, "console.log"))
        stage.also(self)
        wait_for(lambda: get(self.port, "GET", "/livez")[0] == 200, 20, "the console to answer", alive=[self])

    def stop(self):
        self.kill()


def get(port, method, path, headers=None, body=None):
    """The path as it is written here: status, document, headers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        text = answer.read().decode()
        return answer.status, json.loads(text) if text.startswith("{") else text, answer.headers
    except OSError as e:
        return 0, str(e), {}
    finally:
        connection.close()


def demand(stage, port, status, method, path, who=None, headers=None, body=None):
    got, document, _ = get(port, method, path, {**(bearer(who) if who else {}), **(headers or {})}, body)
    stage.demand(got == status, f"{method} {path} of {who}: {got}, not {status}: {document}")
    return document


def apps(stage, console, who):
    return [item["app"] for item in demand(stage, console.port, 200, "GET", "/api/v1/apps", who)["apps"]]


@scenario(brokers=("mock",), timeout_s=120)
def each_sees_their_own(stage):
    """Lists hold what their reader may see, in order; events of others are refused; nothing answers without a token, however the
    path and the method are written; health and metrics do."""
    stage.set_up(partitions=2, targets=("a", "b"), changes=secured(stage), rules=[{"path": "/b/", "status": 401}])
    worker, = stage.fleet(1)
    console = Console(stage)
    names = ["billing", "payments-api", "payments-web", "search"]
    stage.publish([event(n, app=app) for n, app in enumerate(names)])
    wait_for(lambda: apps(stage, console, "root") == names, 40, "all applications to be listed")

    def letters(who):
        found = demand(stage, console.port, 200, "GET", "/api/v1/deadletters", who)
        stage.demand(found["total"] == len(found["letters"]) == sum(g["count"] for g in found["groups"]), f"{found}")
        return sorted(one["app"] for one in found["letters"])
    wait_for(lambda: letters("root") == names, 40, "4 dead letters")
    stage.demand(letters("ann") == names[1:3], f"ann sees the letters of {letters('ann')}")
    stage.demand(apps(stage, console, "ann") == names[1:3], f"ann sees {apps(stage, console, 'ann')}")
    stage.demand(apps(stage, console, "bob") == [], f"bob sees {apps(stage, console, 'bob')}")
    demand(stage, console.port, 200, "GET", "/api/v1/events/e-00001", "ann")
    demand(stage, console.port, 403, "GET", "/api/v1/events/e-00000", "ann")
    for path in ("deadletters", "config", "doctor", "fleet", "stream", "events/e-00001"):
        demand(stage, console.port, 403, "GET", "/api/v1/" + path, "bob")
    for path in ("fleet", "apps", "events/e-00001", "deadletters", "config", "console", "doctor", "stream", "", "nothing", "/fleet",
                 "./fleet", "%66leet", "fleet?x=1", "..%2ffleet"):
        for method in ("GET", "HEAD"):
            demand(stage, console.port, 401, method, "/api/v1/" + path)
    for path in ("/api/v1//fleet", "/api/v1/fleet/", "/api/v1/x/../fleet", "/api/v1/%2e%2e/v1/fleet", "/api/v1/FLEET"):
        demand(stage, console.port, 404, "GET", path, "ann")
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "get"):
        status, document, _ = get(console.port, method, "/api/v1/fleet", {"X-HTTP-Method-Override": "GET"})
        stage.demand(status in (400, 401, 405) and "consumers" not in document, f"{method}: {status} {document}")
    for port, who in ((worker.port, None), (console.port, None)):
        demand(stage, port, 200, "GET", "/livez", who)
        demand(stage, port, 200, "GET", "/metrics", who)
    demand(stage, worker.port, 200, "GET", "/readyz")
    for path in ("fleet", "stream"):
        demand(stage, worker.port, 401, "GET", "/api/v1/" + path)
        demand(stage, worker.port, 403, "GET", "/api/v1/" + path, "bob")
    demand(stage, worker.port, 200, "GET", "/api/v1/fleet", "ann")
    for child in (worker, console):
        stage.demand(not any(text in child.log() for text in TOKENS.values()), f"{child.name} logged a token")


@scenario(brokers=("mock",), timeout_s=120)
def what_is_taken_away_is_gone(stage):
    """A token acts where its role says and is named in the audit. A browser's session reads and does not act. When the role or the
    token goes, streams end and the session is over, at the worker and at the console."""
    stage.set_up(partitions=2, targets=("a", "b"), changes=secured(stage))
    worker, = stage.fleet(1)
    console = Console(stage)
    act, meant = "/api/v1/targets/{}/pause", {"X-Sluice-Action": "1"}
    demand(stage, console.port, 403, "POST", act.format("b"), "ann", meant, "{}")
    demand(stage, console.port, 401, "POST", act.format("a"), None, meant, "{}")
    stage.demand(demand(stage, console.port, 200, "POST", act.format("a"), "ann", meant, '{"who": "root", "reason": "test"}')["obeyed"] == 1,
                 "the pause was not obeyed")
    paused = next(t for t in demand(stage, console.port, 200, "GET", "/api/v1/fleet", "ann")["targets"] if t["name"] == "a")
    stage.demand(paused["state"] == "paused" and paused["who"].startswith("ann (root) via"), f"told of the pause: {paused}")

    status, _, headers = get(console.port, "POST", "/api/v1/session", bearer("ann"))
    cookie = {"Cookie": headers["Set-Cookie"].split(";")[0]}
    stage.demand(status == 200 and "HttpOnly; SameSite=Strict" in headers["Set-Cookie"], f"{status} {headers}")
    demand(stage, console.port, 200, "GET", "/api/v1/fleet", None, cookie)
    demand(stage, console.port, 401, "POST", act.format("a"), None, {**cookie, **meant}, "{}")
    demand(stage, console.port, 401, "GET", "/api/v1/fleet", None, {**cookie, "Sec-Fetch-Site": "same-site"})
    demand(stage, worker.port, 401, "GET", "/api/v1/fleet", None, cookie)

    listeners = [Listener(worker.port, headers=bearer("ann")), Listener(console.port, headers=bearer("ann")),
                 Listener(console.port, headers=cookie)]
    others = [Listener(worker.port, headers=bearer("root")), Listener(console.port, headers=bearer("root"))]
    for one in listeners + others:
        stage.demand(one.until(lambda name, _: name == "fleet")[-1][1] == "fleet", "a stream began without a frame")
    changes = merge(stage.config("w1"), {"tokens": {"ann": {"roles": ["nothing"]}}})
    worker.write(to_yaml(changes))
    worker.signal(signal.SIGHUP)
    console.signal(signal.SIGHUP)
    for one in listeners:
        for _ in one.frames():
            pass  # to the end of the stream, which is what is waited for
    for port in (worker.port, console.port):
        demand(stage, port, 403, "GET", "/api/v1/fleet", "ann")
    demand(stage, console.port, 403, "GET", "/api/v1/fleet", None, cookie)
    changes["tokens"].pop("ann")
    worker.write(to_yaml(changes))
    console.signal(signal.SIGHUP)
    wait_for(lambda: get(console.port, "GET", "/api/v1/fleet", cookie)[0] == 401, 10, "the session to be over")
    demand(stage, console.port, 401, "GET", "/api/v1/fleet", "ann")
    for one in others:
        stage.demand(one.until(lambda name, _: name == "fleet")[-1][1] == "fleet", "another's stream ended too")
    worker.write(to_yaml({**changes, "roles": {}}))
    console.signal(signal.SIGHUP)
    console.wait_log("reload refused")
    demand(stage, console.port, 200, "GET", "/api/v1/fleet", "root")


@scenario(brokers=("mock",), timeout_s=120)
def signs_in(stage):
    """In a real browser: the page asks for a token, refuses a wrong one, shows and offers what the right one may; the session
    outlives a reload of the page and no script can read it; signed out, the page asks again."""
    stage.set_up(partitions=2, targets=("a", "b"), changes=secured(stage))
    stage.fleet(1)
    console = Console(stage)
    stage.publish([event(1, app="payments-api"), event(2, app="billing")])
    stage.wait_done(stage.units(), 40)
    page = stage.also(Browser(os.path.dirname(stage.consumer)))
    asks = "document.getElementById('act').open && document.getElementById('act-h').textContent == 'Sign in'"
    shows = "document.getElementById('verdict').dataset.level != 'unknown'"
    page.order("open", url=f"http://127.0.0.1:{console.port}/#/event/e-00001")
    page.order("until", js=asks)
    stage.demand("token is missing" in page.order("text", at="#event-body"), "the event was shown to nobody")
    page.order("fill", at="#act-token", value="not the token of anybody")
    page.order("click", at="#act-go")
    page.order("until", js="!document.getElementById('act-error').hidden")
    os.makedirs(os.path.join(stage.programs, "pictures"), exist_ok=True)
    page.order("shot", path=os.path.join(stage.programs, "pictures", "sign-in.png"), whole=False)
    page.order("fill", at="#act-token", value=TOKENS["ann"])
    page.order("click", at="#act-go")
    page.order("until", js=f"{shows} && !document.getElementById('act').open")
    page.order("until", js="document.querySelectorAll('#event-body .line li').length >= 4")
    stage.demand(page.order("js", js="document.cookie") == "", "a script can read the session")
    stage.demand(page.order("text", at="#out") == "sign out ann", page.order("text", at="#out"))
    page.order("open", url=f"http://127.0.0.1:{console.port}/?again#/event/e-00002")
    page.order("until", js=shows)
    stage.demand("ann may not read apps/billing" in page.order("text", at="#event-body"), page.order("text", at="#event-body"))
    page.order("press", key="1")
    page.order("until", js="document.querySelectorAll('#targets tbody tr').length == 2")
    stage.demand(page.order("texts", at="#targets tbody button") == ["pause"] * 2, "what ann may do is not offered")
    stage.demand(not page.order("texts", at="#consumers tbody button"), "what ann may not do is offered")
    page.order("shot", path=os.path.join(stage.programs, "pictures", "signed-in.png"))
    page.order("click", at="#out")
    page.order("until", js=asks)
    stage.demand(not page.order("faults"), f"the page has faults: {page.order('faults')}")
