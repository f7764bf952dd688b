"""What operators see: status, wait, top; a consumer that dies, a Redis that goes, a target that fails."""
import json
import os
import pty
import select
import signal
import subprocess

from harness import operator
from harness.proc import Failure, now, wait_for
from harness.registry import scenario
from harness.stage import events

ENTERED, LEFT = b"\x1b[?1049h", b"\x1b[?1049l"


SAME = {"headers": {"x-worker": "any"}}  # else each worker's configuration would differ from the others'


def ask(stage, *words, code=0):
    """A command's stdout; its exit code is to be `code`."""
    return operator.ask(stage, *words, code=code)[0]


def frame(stage):
    return json.loads(ask(stage, "status", "--json"))


def wait_healthy(stage, timeout_s=20):
    seen = {}

    def healthy():
        seen.update(frame(stage))
        # the lag of a partition is known some seconds after it was assigned
        return seen["verdict"]["level"] == "ok" and seen["totals"]["lag_events"] is not None
    try:
        wait_for(healthy, timeout_s, "the fleet to be healthy")
    except Failure as e:
        raise Failure(f"{e}: {seen['verdict']['text']} {seen['notes'][:3]} {seen['totals']}") from None


def states(stage):
    return {c["id"]: c["state"] for c in frame(stage)["consumers"]}


def owners(seen):
    return {p["owner"] for p in seen["partitions"]}


@scenario(brokers=("real", "mock"), timeout_s=150)
def a_consumer_that_dies(stage):
    """Killed: late after 10 s, gone after 30 s, its partitions owned by the others; ended in order: not shown at all."""
    stage.set_up(changes={"targets": {"a": SAME}})
    stage.fleet(3)
    stage.publish(events(60))
    stage.wait_done(stage.units())
    said = ask(stage, "wait", "--ready", "--consumers", "3", "--lag", "0", "--timeout", "40s")
    stage.demand(said.startswith("lag 0, ready: 3 consumers"), f"wait said {said!r}")
    wait_healthy(stage)
    seen = frame(stage)
    stage.demand(owners(seen) == {"w1", "w2", "w3"}, f"owners: {owners(seen)}")
    stage.demand(seen["totals"]["lag_events"] == 0 and seen["totals"]["unowned"] == 0, f"totals: {seen['totals']}")
    stage.workers["w2"].kill()
    died = now()
    wait_for(lambda: states(stage)["w2"] == "late", 20, "w2 to be late")
    stage.demand(now() - died > 7, "late too early")
    wait_for(lambda: states(stage)["w2"] == "gone", 40, "w2 to be gone")
    stage.note(f"gone after {now() - died:.0f} s")
    wait_for(lambda: owners(frame(stage)) == {"w1", "w3"}, 40, "the others to own its partitions")
    text = ask(stage, "status", "--offsets")
    stage.demand("w2 is gone" in text and "others took over" in text, f"status says {text}")
    stage.workers["w3"].term()
    stage.workers["w3"].wait(25)
    stage.demand("w3" not in states(stage), "w3 said goodbye and is still shown")


@scenario(brokers=("real", "mock"), timeout_s=120)
def redis_that_goes(stage):
    """Redis is killed: unknown, with what Kafka says; a target that may goes on; then healthy again."""
    stage.set_up(redis={"keep": True}, changes={"redis": {"timeout": "500ms"},
                                                "targets": {"a": {"on_redis_loss": "send", **SAME}}})
    stage.fleet(2)
    stage.publish(events(20))
    stage.wait_done(stage.units())
    stage.redis.kill()
    stage.publish(events(20, first=100))
    stage.wait_done(stage.units(), 60)
    ask(stage, "wait", "--lag", "0", "--timeout", "30s")
    seen = frame(stage)
    stage.demand(seen["verdict"]["level"] == "unknown" and not seen["redis"]["known"], f"verdict: {seen['verdict']}")
    stage.demand(seen["kafka"]["known"] and len(seen["partitions"]) >= stage.partitions, f"kafka: {seen['kafka']}")
    stage.demand(seen["totals"]["lag_events"] == 0 and seen["totals"]["dead"] is None, f"totals: {seen['totals']}")
    text = ask(stage, "status", "--exit-code", code=69)
    stage.demand("Unknown: Redis does not answer; Kafka says no lag" in text, f"status says {text}")
    stage.redis.start()
    wait_healthy(stage, 40)


@scenario(brokers=("mock",), timeout_s=120)
def a_target_that_fails(stage):
    """Its circuit opens: starred, exit code 1 with --exit-code; a watch prints page after page."""
    stage.set_up(changes={"targets": {"a": {"retry": {"hold": "100ms"}}}})
    stage.fleet(1)
    stage.publish(events(5))
    stage.wait_done(stage.units())
    wait_healthy(stage)
    ask(stage, "status", "--exit-code")
    stage.target.rules({"status": 503})
    stage.publish(events(30, first=100))
    wait_for(lambda: frame(stage)["targets"][0]["state"] == "open", 40, "the circuit to be seen open")
    text = ask(stage, "status", "--exit-code", code=1)
    stage.demand("* a has its circuit open" in text, f"status says {text}")
    said = subprocess.run(["timeout", "2", stage.consumer, "status", "--watch", "500ms", "--json", "-c",
                           stage.workers["w1"].config_path], capture_output=True, text=True, timeout=30).stdout
    pages = [json.loads(line) for line in said.splitlines()]
    stage.demand(len(pages) >= 2 and all(p["schema"] == "sluice.fleet/1" for p in pages), f"{len(pages)} pages")
    late = subprocess.run([stage.consumer, "wait", "--lag", "0", "--timeout", "1s", "-c",
                           stage.workers["w1"].config_path], capture_output=True, text=True, timeout=30)
    stage.demand(late.returncode == 75 and "in the retry topics" in late.stderr, f"wait: {late}")


class Screen:
    """A command on a terminal of its own."""

    def __init__(self, command):
        self.shown = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(command[0], command)

    def wait(self, what, timeout_s=20):
        until = now() + timeout_s
        while what not in self.shown:
            if now() > until:
                raise Failure(f"waited in vain for {what!r} on the screen, there is {self.shown[-300:]!r}")
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self.fd, 65536)
                except OSError:  # the other end is closed
                    until = 0

    def press(self, keys):
        self.shown = b""
        os.write(self.fd, keys)

    def end(self):
        self.wait(LEFT)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        return code


@scenario(brokers=("mock",), timeout_s=90)
def top_and_its_terminal(stage):
    """Keys sort and filter; however it ends, the terminal is given back."""
    stage.set_up(partitions=2)
    worker = stage.worker("w1")
    stage.wait_group(started=[worker])
    command = [stage.consumer, "top", "-c", worker.config_path]
    screen = Screen(command)
    screen.wait(ENTERED)
    screen.wait(b"w1 ")
    screen.press(b"s")
    screen.wait(b"by lag")
    screen.press(b"/none\r")
    screen.wait(b"only none")
    screen.press(b"?")
    screen.wait(b"sort by name, lag, rate")
    screen.press(b"q")
    stage.demand(screen.end() == 0, "q is no failure")
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        screen = Screen(command)
        screen.wait(b"q quit")
        os.kill(screen.pid, number)
        code = screen.end()
        stage.demand(code == (0 if number == signal.SIGINT else 128 + number), f"signal {number}: exit {code}")
    page = ask(stage, "top")
    stage.demand("\x1b" not in page and "CONSUMER" in page, f"not on a terminal: {page}")
