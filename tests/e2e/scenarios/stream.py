"""The live stream and the console: who comes back, who is too slow, who asks for what it may not have."""
import json
import os
import socket
import urllib.error
import urllib.request

from harness.checker import parse_metrics, total
from harness.proc import Child, free_port, wait_for
from harness.registry import scenario
from harness.sse import Crowd, Listener
from harness.stage import event, events

TOKEN = "not-a-secret-just-a-test-token"


class Console(Child):
    def __init__(self, stage, *flags):
        self.port = free_port()
        config = next(iter(stage.workers.values())).config_path
        super().__init__("console", [stage.consumer, "console", "-c", config, "--listen", f"127.0.0.1:{self.port}",
                                     *flags], os.path.join(stage.folder, "console.log"))
        stage.also(self)
        wait_for(lambda: self.ask("GET", "/livez")[0] == 200, 20, "the console to answer", alive=[self])

    def stop(self):
        self.kill()

    def ask(self, method, path, headers=None, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers or {}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()
        except OSError as e:
            return 0, str(e)

    def metric(self, name):
        return total(parse_metrics(self.ask("GET", "/metrics")[1]), name)


def recent(stage):
    return f"sluice:ops:{{{stage.group}}}:recent"


def notify(stage, numbers, size=10):
    """Notices as an action leaves them."""
    for n in numbers:
        stage.redis.ask("XADD", recent(stage), "*", "n", json.dumps({"kind": "test", "n": n, "text": "x" * size}))


def sequence(frame_id):
    return int(frame_id.rsplit("-", 1)[1])


def is_fleet(name, _):
    return name == "fleet"


def is_notice(n):
    return lambda name, data: name == "notice" and data["n"] == n


@scenario(brokers=("mock",), timeout_s=120)
def comes_back(stage):
    """A client that comes back gets what it missed; an honest gap when that is gone; goodbye at the end."""
    stage.set_up(partitions=2)
    worker, = stage.fleet(1)
    first = Listener(worker.port)
    last = first.until(is_fleet)[-1][0]
    first.close()
    other = Listener(worker.port)
    notify(stage, range(5))
    other.until(is_notice(4))
    back = Listener(worker.port, last_id=last)
    seen = back.until(is_notice(4))
    back.close()
    stage.demand([sequence(f[0]) for f in seen] == list(range(sequence(last) + 1, sequence(last) + 1 + len(seen))),
                 f"after {last} came {[f[0] for f in seen]}")
    stage.demand([f[2]["n"] for f in seen if f[1] == "notice"] == [0, 1, 2, 3, 4], "a notice is missing after the return")
    for n in range(5, 1705, 100):  # more than the ring keeps
        notify(stage, range(n, n + 100))
        other.until(is_notice(n + 99))
    for stranger in (last, "00000000-7"):
        back = Listener(worker.port, last_id=stranger)
        frames = back.frames()
        names = [next(frames)[1], next(frames)[1]]
        stage.demand(names == ["gap", "fleet"], f"after {stranger} came {names} instead of a gap and how it is now")
        back.close()
    worker.term()
    stage.demand(other.until(lambda name, _: name == "goodbye")[-1][1] == "goodbye", "no goodbye")
    stage.demand(worker.wait(25) == 0, f"exit {worker.exit_code()}: {worker.last_lines()}")


@scenario(brokers=("mock",), timeout_s=120)
def namespaces(stage):
    """Who listens to /acme/api hears of it and of nothing else, whatever the fields hold."""
    stage.set_up(partitions=2)
    worker, = stage.fleet(1)
    api, everything = Listener(worker.port, "?ns=/acme/api"), Listener(worker.port)
    stage.publish([event(1, repo="acme/api"), event(2, repo="acme/api2"), event(3, repo="<img src=x onerror=alert(1)>"),
                   event(4, repo="acme/api/x")])
    for n, repo in ((5, "\u001b[31m\u202eacme/api"), (6, "/acme/api" + "z" * 65536), (7, "../acme/api")):
        stage.redis.ask("XADD", recent(stage), "*", "d", json.dumps({"event": f"e-{n:05d}", "repo": repo}))
    stage.wait_done(stage.units(), 40)
    heard, at = set(), set()
    for _, name, data in everything.frames():
        if name == "delivery":
            heard.add(data["event"])
        if len(heard) == 7:
            break
    notify(stage, [1])
    for _, name, data in api.frames():
        if name == "delivery":
            at.add(data["repo"])
        if name == "notice":
            break
    stage.demand(at == {"acme/api", "acme/api/x"}, f"/acme/api heard {sorted(at)}")
    stage.stop_all()


@scenario(brokers=("mock",), timeout_s=180)
def slow_clients(stage):
    """50 clients that take nothing are dropped; 150 others miss nothing; deliveries go on; goodbye to all."""
    stage.set_up(partitions=2)
    stage.fleet(1)
    console = Console(stage)
    crowd = Crowd(console.port, reading=150, stalled=50)
    stage.also(crowd)
    wait_for(lambda: console.metric("sluice_stream_clients") == 200, 20, "200 clients")
    stage.publish(events(100))
    sent = 0
    while console.metric("sluice_stream_evicted_total") < 50:
        notify(stage, range(sent, sent + 80), size=2000)
        sent += 80
        wait_for(lambda: all(len(r["notices"]) >= sent for r in crowd.readers), 30, f"all readers to have {sent} notices")
        stage.demand(sent < 8000, "nobody was evicted")
    stage.note(f"all 50 evicted after {sent} notices of 2 kB")
    stage.demand(all(r["notices"] == list(range(sent)) for r in crowd.readers), "a healthy client missed something")
    stage.demand(all(r["ended"] is None for r in crowd.readers), "a healthy client was dropped")
    stage.demand(console.metric("sluice_stream_evicted_total") == 50, "more were evicted than stalled")
    wait_for(lambda: console.metric("sluice_stream_clients") == 150, 20, "the places of the evicted to be free")
    stage.wait_done(stage.units(), 40)
    console.term()
    stage.demand(console.wait(10) == 0, f"exit {console.exit_code()}: {console.last_lines()}")
    wait_for(lambda: all(r["ended"] for r in crowd.readers), 10, "the readers to be let go")
    stage.demand(all(r["goodbye"] for r in crowd.readers), "a client got no goodbye")
    stage.judge()
    stage.stop_all()


def huge_header(port):
    with socket.create_connection(("127.0.0.1", port), 20) as s:
        try:
            s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * (1 << 20) + b"\r\n\r\n")
            return s.recv(100).decode()
        except OSError:  # cut in the middle
            return ""


@scenario(brokers=("mock",), timeout_s=120)
def bad_requests(stage):
    """What the console is asked for wrongly is refused with the next step, and deliveries go on."""
    stage.set_up(partitions=2)
    stage.fleet(1)
    token = os.path.join(stage.folder, "token")
    with open(token, "w", encoding="utf-8") as f:
        f.write(TOKEN + "\n")
    console = Console(stage, "--token-file", token)
    stage.publish(events(200))
    for path in ("/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/api/v1/../../etc/passwd", "/api/v1/none"):
        status, text = console.ask("GET", path)
        stage.demand(status == 404 and '"next"' in text, f"{path}: {status} {text}")
    first = huge_header(console.port)
    stage.demand(not first or " 4" in first[:13], f"a header of 1 MB: {first}")
    status, text = console.ask("GET", "/api/v1/fleet", {"Sec-Fetch-Site": "cross-site"})
    stage.demand(status == 403, f"another site reads: {status} {text}")
    status, text = console.ask("GET", "/api/v1/events/" + "x" * 20000)
    stage.demand(status in (404, 414, 431), f"an id of 20 kB: {status} {text[:200]}")
    status, text = console.ask("GET", "/api/v1/events/never-was")
    stage.demand(status == 404 and '"error"' in text, f"an event nobody knows: {status} {text}")
    status, text = console.ask("GET", "/api/v1/fleet")
    stage.demand(status == 200 and json.loads(text)["schema"] == "sluice.fleet/1", f"the fleet: {status} {text[:200]}")
    stage.wait_done(stage.units(), 40)
    stage.judge()
    stage.stop_all()


def target_state(console):
    return json.loads(console.ask("GET", "/api/v1/fleet")[1])["targets"][0]["state"]


@scenario(brokers=("mock",), timeout_s=120)
def acts(stage):
    """Who has the token pauses, resumes, drains and reloads; who has not does not; each is audited on the stream."""
    stage.set_up(partitions=2)
    worker, = stage.fleet(1)
    token = os.path.join(stage.folder, "token")
    with open(token, "w", encoding="utf-8") as f:
        f.write(TOKEN)
    console = Console(stage, "--token-file", token)
    listener = Listener(console.port)
    right = {"X-Sluice-Action": "1", "Authorization": f"Bearer {TOKEN}"}
    pause = json.dumps({"for_ms": 600000, "reason": "INC-42", "who": "ann"}).encode()
    for wrong, status in (({}, 403), ({"X-Sluice-Action": "1"}, 401), ({**right, "Origin": "http://evil.example"}, 403),
                          ({**right, "Authorization": "Bearer " + TOKEN[:-1]}, 401)):
        got, text = console.ask("POST", "/api/v1/targets/a/pause", wrong, pause)
        stage.demand(got == status and '"next"' in text, f"{wrong}: {got} {text}")
    for path, body, status in (("targets/none/pause", pause, 400), ("targets/a/pause", b"[1", 400), ("targets/a/pause", b"{}", 400),
                               ("targets/a/resume", b'{"reason":"x"}', 404), ("targets/a/stop", pause, 404),
                               ("targets/pause", pause, 404)):
        got, text = console.ask("POST", "/api/v1/" + path, right, body)
        stage.demand(got == status, f"{path} {body}: {got} instead of {status}: {text}")
    status, text = console.ask("POST", "/api/v1/targets/a/pause", right, pause)
    stage.demand(status == 200 and json.loads(text) == {"consumers": 1, "obeyed": 1}, f"pause: {status} {text}")
    wait_for(lambda: target_state(console) == "paused", 20, "the frame to say that a is paused")
    notice = listener.until(lambda name, _: name == "notice")[-1][2]
    stage.demand(notice["kind"] == "pause" and notice["why"] == "INC-42" and "ann" in notice["who"], f"audited: {notice}")
    status, text = console.ask("POST", "/api/v1/targets/a/resume", right, b'{"reason":"fixed"}')
    stage.demand(status == 200, f"resume: {status} {text}")
    status, text = console.ask("POST", "/api/v1/reload", right, b'{"reason":"test"}')
    stage.demand(status == 200, f"reload: {status} {text}")
    stage.publish(events(20))
    stage.wait_done(stage.units(), 40)
    status, text = console.ask("POST", f"/api/v1/consumers/{worker.name}/drain", right, b'{"reason":"node"}')
    stage.demand(status == 200, f"drain: {status} {text}")
    wait_for(lambda: json.loads(console.ask("GET", "/api/v1/fleet")[1])["consumers"][0]["state"] == "drained", 30,
             "the frame to say that it is drained")
    status, text = console.ask("POST", f"/api/v1/consumers/{worker.name}/drain", right, b'{"undo":true,"reason":"done"}')
    stage.demand(status == 200, f"undo: {status} {text}")
    stage.stop_all()
