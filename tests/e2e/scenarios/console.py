"""The console in a real browser: what it tells of a fleet in trouble, and what it lets do, and whom."""
import collections
import json
import os

from harness.browser import Browser
from harness.kube import KubeApi
from harness.operator import ask, console
from harness.proc import wait_for
from harness.registry import scenario
from harness.stage import event, events

TOKEN = "token-of-the-browser-test"
NASTY = "<img src=x onerror=document.title='owned'>"


def browser(stage):
    return stage.also(Browser(os.path.dirname(stage.consumer)))


def rows(body):
    return f"document.querySelectorAll('#{body} tbody tr').length"


def cell(body, row, column):
    return f"document.querySelector('#{body} tbody').rows[{row}]?.cells[{column}].textContent"


def look(stage, page, name):
    """Pictures for whoever wants to see, in build/pictures: light, dark, and a small telephone."""
    folder = os.path.join(stage.programs, "pictures")
    os.makedirs(folder, exist_ok=True)
    for scheme, width in (("light", 1280), ("dark", 1280), ("light", 320)):
        page.order("look", width=width, scheme=scheme)
        wide = page.order("js", js="document.documentElement.scrollWidth")
        stage.demand(wide <= width, f"{name} at {width} px is {wide} px wide")
        page.order("shot", path=os.path.join(folder, f"{name}-{scheme}-{width}.png"))
    page.order("look")


@scenario(timeout_s=180)
def tells_of_trouble(stage):
    """A verdict in words; a consumer that was killed is told, and its partitions are others'; so is a cluster that does not let us in;
    deliveries are filtered, an event is opened, and what events say is text."""
    same = {"headers": {"x-worker": "any"}}  # else each worker has a configuration of its own, and the console says so
    cluster = stage.also(KubeApi(os.path.join(stage.folder, "kube"), tls=True))
    stage.set_up(partitions=6, targets=("a", "b"),
                 changes={"targets": {"a": same, "b": {"kind": "argo-events", **same}}, "cluster_check": {"every": "1s"},
                          "clusters": {"prod": {"kubeconfig": cluster.kubeconfig}, "sketch": {"virtual": True}}})
    stage.fleet(3)
    url = console(stage, TOKEN, "--read-only")
    page = browser(stage)
    page.order("open", url=url)
    page.order("until", js="document.getElementById('verdict').dataset.level == 'ok'", timeout_ms=30000)
    stage.demand("Healthy" in page.order("text", at="#verdict-text"), page.order("text", at="#verdict-text"))
    page.order("until", js=rows("consumers") + " == 3")
    page.order("until", js=cell("clusters", 0, 1) + " == 'connected'")
    stage.demand(page.order("js", js=cell("clusters", 1, 1)) == "virtual", "a virtual cluster is not told as such")
    stage.demand(page.order("js", js=cell("targets", 1, 0)) == "b argo-events", "the kind of a target is not told")
    stage.publish([*events(6), event(77, repo=NASTY, commit="\\u001b[31mred")])
    stage.wait_done(stage.units())
    page.order("until", js=rows("deliveries") + " == 14")
    page.order("until", js="[...document.querySelectorAll('#deliveries td')].some(c => c.textContent.includes('<img'))")
    stage.demand(page.order("js", js="document.title") != "owned" and not page.order("js", js="document.querySelectorAll('td img').length"),
                 "an event's text became markup")
    page.order("press", key="/")
    page.order("fill", at="#filter", value="e-00003")
    page.order("until", js=rows("deliveries") + " == 2")
    look(stage, page, "fleet")
    page.order("click", at="#deliveries tbody tr")
    page.order("until", js="document.querySelectorAll('#event-body .line li').length >= 4")
    timeline = " ".join(page.order("texts", at="#event-body .line li"))
    stage.demand("published" in timeline and "triggered" in timeline and "200" in timeline, f"timeline: {timeline}")
    look(stage, page, "event")
    page.order("press", key="1")
    cluster.rules({"of": "health", "status": 401})
    page.order("until", js=cell("clusters", 0, 1) + " == 'unauthorized'")
    page.order("until", js="document.getElementById('verdict-text').textContent.includes('cluster prod is not connected')")
    stage.demand(page.order("js", js="document.querySelector('#clusters .st').dataset.g") == "✗", "a state by its colour alone")
    text, _ = ask(stage, "status", "--exit-code", code=1)
    stage.demand("\nCLUSTER " in text and "\n* cluster prod is not connected (unauthorized)" in text, f"status says {text}")
    look(stage, page, "clusters")
    stage.workers["w1"].kill()
    page.order("until", js="[...document.querySelectorAll('#consumers .st')].some(s => /late|gone/.test(s.textContent))", timeout_ms=40000)
    owners = "[...document.querySelectorAll('#partitions tbody tr')].map(r => r.children[1].textContent)"
    page.order("until", js=f"{owners}.filter(o => o == 'w2' || o == 'w3').length == 6", timeout_ms=60000)
    stage.demand(not page.order("faults"), f"the page has faults: {page.order('faults')}")


@scenario(timeout_s=180)
def redrives_with_the_token_only(stage):
    """14 dead letters, by reason; refused without the right token; with it they are sent again at 5/s and triggered once each."""
    stage.set_up(partitions=3, targets=("a", "b"), rules=[{"path": "/b/", "status": 401}])
    stage.fleet(2)
    stage.publish(events(14))
    stage.wait_drained(60)
    wait_for(lambda: json.loads(ask(stage, "dlq", "list", "--json")[0])["total"] == 14, 30, "14 dead letters", 0.3)
    url = console(stage, TOKEN, "--set", "console.read_only=false")
    page = browser(stage)
    page.order("open", url=url + "/#/dead")
    page.order("until", js="document.getElementById('dead-body').textContent.includes('http_401')")
    look(stage, page, "dead")
    stage.target.rules()
    page.order("click", at="#dead-body .panel ~ p button, #dead-body p button")
    page.order("fill", at="#act-token", value="not the token")
    page.order("click", at="#act-go")
    page.order("until", js="!document.getElementById('act-error').hidden")
    stage.demand(not stage.records(f"{stage.topic}.{stage.group}.retry.1s"), "something was sent without the token")
    page.order("fill", at="#act-token", value=TOKEN)
    page.order("shot", path=os.path.join(stage.programs, "pictures", "redrive.png"), whole=False)
    page.order("click", at="#act-go")
    page.order("until", js="!document.getElementById('act').open")

    def taken():
        return collections.Counter(r.key for r in stage.target.requests() if r.path.startswith("/b/") and r.answer == 200)
    wait_for(lambda: len(taken()) == 14, 60, "14 triggers", 0.3)
    stage.demand(set(taken().values()) == {1}, f"taken: {taken()}")
    page.order("until", js="document.getElementById('dead-body').textContent.includes('No dead letters')", timeout_ms=60000)
    stage.demand(not page.order("faults"), f"the page has faults: {page.order('faults')}")
