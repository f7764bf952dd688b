"""The CD systems that are none as scenarios see them."""
import json
import os
import sys
import urllib.request

from .proc import Child, Failure, wait_for

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cd.py")


class Cd:
    def __init__(self, folder, *scenes):
        os.makedirs(folder, exist_ok=True)
        self.child = Child("cd", [sys.executable, PROGRAM, *scenes], os.path.join(folder, "cd.log"))
        said = json.loads(wait_for(lambda: self.child.log().count("\n") and self.child.log(), 20, "the scenes' ports",
                                   pause_s=0.01, alive=[self.child]))
        self.control, self.scenes = said["control"], said["scenes"]

    def url(self, scene):
        return f"http://{self.scenes[scene]}"

    def ask(self, path, document=None, timeout_s=20):
        body = None if document is None else json.dumps(document).encode()
        try:
            with urllib.request.urlopen(f"http://{self.control}{path}", body, timeout_s) as answer:
                return json.load(answer)
        except TimeoutError:
            raise Failure(f"the CD systems did not see {document} within {timeout_s} s") from None

    def requests(self, scene=None):
        return [r for r in self.ask("/requests") if scene in (None, r["scene"])]

    def wait(self, scene, calls, timeout_s=20):
        return self.ask("/wait", {"scene": scene, "calls": calls}, timeout_s)

    def answers(self, **scenes):
        self.ask("/answers", scenes)

    def stop(self):
        self.child.term()
        self.child.wait(10)
