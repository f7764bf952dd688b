"""The status of a workflow, of a real fleet's trigger: what it says, and readers who leave."""
import json
import socket
import urllib.error
import urllib.request

from harness.operator import ask, console
from harness.proc import wait_for
from harness.registry import scenario
from harness.stage import events
from harness.systems import Systems

TOKEN = "0123456789abcdef0123456789abcdef"
PATH = "/api/v1/apps/team%2Fa/workflow"


def get(url, path=PATH):
    try:
        with urllib.request.urlopen(url + path, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as e:
        return e.code, json.load(e)


def legs(answer):
    return answer["ci"]["status"], answer["cd"]["status"]


def leave(stage, url, systems):
    """Ask, see both questions at their systems, go, and see both connections close."""
    asked, lost = len(systems.questions), len(systems.lost)
    with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1]))) as reader:
        reader.sendall(f"GET {PATH} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        systems.wait(lambda: len(systems.questions) == asked + 2, "both systems to be asked")
        stage.demand(len(systems.lost) == lost, "a question was broken off while its reader waited")
    systems.wait(lambda: len(systems.lost) == lost + 2, "both connections to close")


@scenario(brokers=("mock", "real"))
def tells_both_sides(stage):
    """Both sides of a trigger are told, each alone when the other hangs; who leaves takes the questions with him."""
    systems = stage.also(Systems())
    stage.set_up(partitions=1, changes=systems.settings("a", "1500ms"))
    worker, = stage.fleet(1)
    stage.publish(events(1, app="team/a"))
    wait_for(lambda: worker.verdicts("triggered") == 1, 30, "the trigger", alive=[worker])
    url = console(stage, TOKEN)
    status, answer = get(url)
    stage.demand((status, *legs(answer)) == (200, "ok", "ok"), f"the answer is {status} {answer}")
    target = answer["cd"]["targets"][0]
    stage.demand((answer["ci"]["live"]["says"], target["verdict"], target["live"]["phase"])
                 == ("success", "triggered", "running"), f"the sides say {answer}")
    shown, _ = ask(stage, "workflow", "team/a")
    stage.demand("success" in shown and "running" in shown, f"`workflow` shows {shown}")
    systems.ci_s = systems.cd_s = 600
    leave(stage, url, systems)
    systems.cd_s = 0
    status, answer = get(url)
    stage.demand((status, *legs(answer)) == (200, "timeout", "ok"), f"with CI that hangs: {status} {answer}")
    status, answer = get(url, "/api/v1/apps/nobody/workflow")
    stage.demand(status == 404 and answer["next"], f"of an unknown application: {status} {answer}")
