"""Rules on the compose file: read as text, so that lint needs no YAML library.

The file is laid out as compose files are: services two spaces in, their keys four.
"""
import re

COMPOSE, SLUICE = "compose/compose.yaml", "compose/sluice.yaml"
GRACE_DEFAULT_S = 25  # stop.grace
MARGIN_S = 5  # for the engine to send the signal, and the kernel to end the process
UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
HEALTH_CHECKED = ("kafka", "redis", "consumer", "mock-cd", "console")


def seconds(text):
    """"1m30s" of compose or Sluice; None when it is no duration."""
    parts = re.findall(r"(\d+)(ms|[smhd])", text)
    return sum(int(n) * UNITS_S[u] for n, u in parts) if parts and "".join(n + u for n, u in parts) == text else None


def services(text):
    """{name: (line, {key: (line, value)})} with what merged anchors bring; a value is the text behind the colon."""
    anchors, found, section, block = {}, {}, "", None
    for number, line in enumerate(text.splitlines(), 1):
        top = re.match(r"([\w-]+):\s*(&(\S+))?", line)
        name = re.match(r"  ([\w-]+):\s*(?:#.*)?$", line) if section == "services" else None
        key = re.match(r"\s+([\w<-]+):\s*(.*?)\s*(?:\s#.*)?$", line)
        if top:
            section, block = top.group(1), {}
            if top.group(3):
                anchors[top.group(3)] = block
        elif name:
            block = {}
            found[name.group(1)] = (number, block)
        elif key and block is not None and len(line) - len(line.lstrip()) == (4 if section == "services" else 2):
            for anchor in re.findall(r"\*([\w-]+)", key.group(2)) if key.group(1) == "<<" else []:
                block.update({k: v for k, v in anchors.get(anchor, {}).items() if k not in block})
            block[key.group(1)] = (number, key.group(2))
    return found


def stop_grace(text):
    m = re.search(r"^stop:.*?\bgrace:\s*(\w+)", text, re.M | re.S)
    inside = m and not re.search(r"^\w", m.group(0)[5:], re.M)
    return seconds(m.group(1)) if inside else GRACE_DEFAULT_S


def rule_compose(tree):
    """A consumer is given the time its configuration promises to stop in, and what others wait for is health-checked."""
    if COMPOSE not in tree.files:
        return
    found = services(tree.read(COMPOSE))
    line, consumer = found.get("consumer", (1, {}))
    line, text = consumer.get("stop_grace_period", (line, "10s"))
    given, needed = seconds(text.strip("'\"")), stop_grace(tree.read(SLUICE) if SLUICE in tree.files else "")
    if given is None or needed is None or given < needed + MARGIN_S:
        yield COMPOSE, line, (f"stop_grace_period of consumer is {text}: compose would kill what {SLUICE} gives "
                              f"stop.grace {needed:g}s and {MARGIN_S} s of margin")
    for name, (line, keys) in found.items():
        if name in HEALTH_CHECKED and "healthcheck" not in keys:
            yield COMPOSE, line, f"service {name} has no healthcheck"
