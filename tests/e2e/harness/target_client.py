"""The target program as scenarios see it."""
import collections
import json
import os
import socket
import sys

from .proc import Child, Failure, wait_for

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "target.py")
Request = collections.namedtuple("Request", "arrived_ns answered_ns path key worker attempt answer body")


class Target:
    """rules: see target.py. `url` is where workers send to."""

    def __init__(self, folder, rules=()):
        os.makedirs(folder, exist_ok=True)
        self.child = Child("target", [sys.executable, PROGRAM, os.path.join(folder, "requests.jsonl")],
                           os.path.join(folder, "target.log"))
        said = wait_for(lambda: self.child.log().count("\n") and self.child.log().split(), 20, "the target's ports",
                        pause_s=0.01, alive=[self.child])
        self.port, self.control_port = int(said[1]), int(said[3])
        self.url = f"http://127.0.0.1:{self.port}"
        self.steering = socket.create_connection(("127.0.0.1", self.control_port), 10)
        self.stream = self.steering.makefile("rwb")
        self.seen = []
        self.rules(*rules)

    def _order(self, timeout_s=30, **order):
        self.steering.settimeout(timeout_s)
        self.stream.write(json.dumps(order).encode() + b"\n")
        self.stream.flush()
        try:
            line = self.stream.readline()
        except socket.timeout:
            raise Failure(f"the target did not see {order} within {timeout_s} s") from None
        return json.loads(line)

    def rules(self, *rules):
        self._order(do="rules", rules=list(rules))

    def wait(self, timeout_s, calls=0, open_calls=0):
        """Until so many calls came in, and so many are open."""
        return self._order(timeout_s, do="wait", calls=calls, open=open_calls)

    def requests(self):
        """Every request so far, in order of arrival."""
        rows = self._order(do="log", **{"from": 0})
        return [Request(*row) for row in rows]

    def calls(self):
        return self._order(do="wait")["calls"]

    def open(self):
        return self._order(do="wait")["open"]

    def stop(self):
        self.child.thaw()
        self.child.term()
        self.child.wait(10)
