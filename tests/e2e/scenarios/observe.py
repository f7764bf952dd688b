"""What is shipped to watch the fleet with: alert rules, Prometheus' configuration, the Grafana dashboard."""
import json
import os
import re
import shutil
import subprocess

from harness.proc import Skip
from harness.registry import scenario
from harness.stage import Stage, events

PROMETHEUS = os.path.join("compose", "prometheus")
ALERTS = os.path.join(PROMETHEUS, "alerts.yml")
ALERTS_TEST = os.path.join("tests", "compose", "alerts_test.yml")
GRAFANA = os.path.join("compose", "grafana")
DASHBOARD = os.path.join(GRAFANA, "dashboards", "sluice.json")
GRID_WIDTH = 24
PLACEHOLDERS = {"$target": ".*", "$__rate_interval": "1m", "$__range": "30m"}
OUR_METRIC = re.compile(r"\b((?:sluice|process)_\w+)")
LABEL = re.compile(r'(\w+)(?:=~|!~|!=|=)"|\bby \(([^)]*)\)|\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}')
PROMETHEUS_LABELS = {"job", "instance", "le", "alertname", "alertstate"}
SEVERITIES = {"critical", "warning"}


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def promtool(*arguments):
    if not shutil.which("promtool"):
        raise Skip("no promtool here (Debian package prometheus)")
    out = subprocess.run(["promtool", *arguments], capture_output=True, text=True)
    return "" if out.returncode == 0 else " ".join((out.stdout + out.stderr).split())[-400:]


# --- the dashboard ---

def panels(dashboard):
    return [p for p in dashboard["panels"] if p["type"] != "row"]


def queries(dashboard):
    return [t for p in panels(dashboard) for t in p["targets"]]


def overlap(a, b):
    a, b = a["gridPos"], b["gridPos"]
    return (a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"]
            and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"])


def panel_faults(panel, uid):
    name = panel.get("title") or f"panel {panel.get('id')}"
    if not panel.get("title") or not panel.get("description"):
        yield f"{name}: no title or no description"
    if not panel["fieldConfig"]["defaults"].get("unit"):
        yield f"{name}: no unit"
    if not panel.get("targets"):
        yield f"{name}: no query"
    for part in (panel, *panel.get("targets", [])):
        if part.get("datasource", {}).get("uid") != uid:
            yield f"{name}: the data source is not {uid}"
    if len({t["refId"] for t in panel.get("targets", [])}) != len(panel.get("targets", [])):
        yield f"{name}: two queries of one name"


def dashboard_faults(dashboard, uid):
    """Sentences on the JSON model; uid is the provisioned data source's."""
    faults = [f for p in panels(dashboard) for f in panel_faults(p, uid)]
    everything = dashboard["panels"]
    for i, one in enumerate(everything):
        place = one["gridPos"]
        if place["x"] < 0 or place["x"] + place["w"] > GRID_WIDTH:
            faults.append(f"{one['title']}: outside of the grid")
        faults += [f"{one['title']} lies over {other['title']}" for other in everything[i + 1:] if overlap(one, other)]
    if len({p["id"] for p in everything}) != len(everything):
        faults.append("two panels of one id")
    return faults


def provisioned_uid():
    return re.search(r"^\s+uid: (\S+)", read(os.path.join(GRAFANA, "provisioning", "datasources", "prometheus.yaml")),
                     re.M).group(1)


def expression(query):
    text = query["expr"]
    for placeholder, value in PLACEHOLDERS.items():
        text = text.replace(placeholder, value)
    return text


def parse_faults(dashboard, folder):
    """Each expression as a recording rule: what promtool says of them."""
    path = os.path.join(folder, "expressions.yml")
    with open(path, "w", encoding="utf-8") as f:
        f.write("groups:\n  - name: panels\n    rules:\n")
        for number, query in enumerate(queries(dashboard)):
            f.write(f"      - {{record: 'panel:{number}', expr: {json.dumps(expression(query))}}}\n")
    return promtool("check", "rules", path)


def name_faults(text, metrics):
    """Names and labels in the text that no worker exposes. metrics: the text of /metrics."""
    known = set(re.findall(r"^# TYPE (\w+) ", metrics, re.M))
    labels = set(re.findall(r'(\w+)="', metrics)) | PROMETHEUS_LABELS
    names = {re.sub(r"_(bucket|sum|count)$", "", n) if n not in known else n for n in OUR_METRIC.findall(text)}
    used = {w.strip() for m in LABEL.findall(text) for part in m for w in part.split(",")} - {""}
    return [f"no metric {n}" for n in sorted(names - known)] + [f"no label {n}" for n in sorted(used - labels)]


@scenario(brokers=("none",), timeout_s=10)
def dashboard_is_sound(stage):
    """Panels have titles, descriptions, units, the provisioned data source, and a place of their own."""
    faults = dashboard_faults(json.loads(read(DASHBOARD)), provisioned_uid())
    stage.demand(not faults, "; ".join(faults))


@scenario(brokers=("none",), timeout_s=20)
def dashboard_expressions_parse(stage):
    """PromQL's own parser takes every expression of the dashboard."""
    dashboard = json.loads(read(DASHBOARD))
    said = parse_faults(dashboard, stage.folder)
    stage.demand(not said, said)
    stage.note(f"{len(queries(dashboard))} expressions")


@scenario(brokers=("none",), timeout_s=20)
def finds_an_unsound_dashboard(stage):
    """The three checks above and below find what is wrong: a copy is broken, once for each."""
    uid = provisioned_uid()

    def broken(change):
        dashboard = json.loads(read(DASHBOARD))
        change(panels(dashboard))
        return dashboard
    for what, change in {
            "title": lambda p: p[3].update(title=""), "unit": lambda p: p[3]["fieldConfig"]["defaults"].pop("unit"),
            "overlap": lambda p: p[9]["gridPos"].update(p[8]["gridPos"]), "id": lambda p: p[9].update(id=p[8]["id"]),
            "query": lambda p: p[3].update(targets=[]), "width": lambda p: p[8]["gridPos"].update(x=20),
            "source": lambda p: p[3]["targets"][0].update(datasource={"uid": "other"})}.items():
        Stage.demand(dashboard_faults(broken(change), uid), f"a wrong {what} was not found")
    wrong = broken(lambda p: p[3]["targets"][0].update(expr="sum(rate(sluice_units_total[5m])"))
    Stage.demand(parse_faults(wrong, stage.folder), "a parenthesis too few was not found")
    metrics = '# TYPE sluice_a_total counter\nsluice_a_total{target="x"} 1\n# TYPE sluice_h histogram\n'
    for text, count in {"sum by (target) (sluice_a_total)": 0, "sluice_h_bucket": 0, "sluice_b_total": 1,
                        "sluice_a_total_bucket": 0, 'sluice_a_total{who="x"}': 1, "sum by (le, where) (up)": 1,
                        "{{ $labels.nobody }}": 1}.items():
        Stage.demand(len(name_faults(text, metrics)) == count, f"{text}: {name_faults(text, metrics)}")


# --- Prometheus ---

def rules(text):
    """{alert: its text}"""
    parts = re.split(r"^      - alert: (\w+)\n", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


@scenario(brokers=("none",), timeout_s=30)
def alerts_fire_and_rest(stage):
    """promtool plays alerts_test.yml: each rule fires when it should, and nothing else does."""
    for arguments in (("check", "config", os.path.join(PROMETHEUS, "prometheus.yml")), ("check", "rules", ALERTS),
                      ("test", "rules", ALERTS_TEST)):
        said = promtool(*arguments)
        stage.demand(not said, f"promtool {' '.join(arguments[:2])}: {said}")
    fired = set(re.findall(r'alertname="(\w+)"', read(ALERTS_TEST)))
    never = set(rules(read(ALERTS))) - fired
    stage.demand(not never, f"no case in {ALERTS_TEST} lets these fire: {sorted(never)}")
    stage.note(f"{len(fired)} rules")


@scenario(brokers=("none",), timeout_s=10)
def alerts_name_the_next_step(stage):
    """Each rule has a severity, a summary, and a description with a command; a command of ours is one we have."""
    listed = subprocess.run([stage.consumer, "help"], capture_output=True, text=True).stdout
    commands = set(re.findall(r"^  (\w+) ", listed, re.M))
    for name, text in rules(read(ALERTS)).items():
        severity = re.search(r"severity: (\w+)", text)
        stage.demand(severity and severity.group(1) in SEVERITIES, f"{name}: no severity of {sorted(SEVERITIES)}")
        stage.demand("summary:" in text and "description:" in text, f"{name}: no summary or no description")
        stage.demand(re.search(r"Next:\s+\S", text), f"{name}: does not say what to do next")
        unknown = set(re.findall(r"sluice-consumer (\w+)", text)) - commands
        stage.demand(not unknown, f"{name}: there is no command {sorted(unknown)}")


@scenario(brokers=("mock",), timeout_s=60)
def names_exist(stage):
    """Each metric and label that a panel or a rule names is one that a worker at work exposes."""
    stage.set_up(partitions=1, rules=[{"key": "e-00001", "status": 404}, {"key": "e-00002", "attempts": [1, 1], "status": 503}],
                 changes={"limits": {"deploys": {"rate": "100/s", "burst": 10}}, "clusters": {"edge": {"virtual": True}},
                          "targets": {"a": {"limits": ["deploys"]}}})
    worker = stage.fleet(1)[0]
    stage.publish(events(5))
    stage.wait_drained()
    dashboard = json.loads(read(DASHBOARD))
    text = "\n".join(f"{q['expr']}\n{q['legendFormat']}" for q in queries(dashboard)) + read(ALERTS)
    faults = name_faults(text.replace("$target", ""), worker.get("/metrics")[1])
    stage.demand(not faults, "; ".join(faults))
