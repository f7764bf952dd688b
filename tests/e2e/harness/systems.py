"""A CI system and an Argo CD in one program: they take a trigger at once and answer questions when they are told to,
and they see who leaves before the answer.
"""
import asyncio
import threading
import time

from .http_door import Http
from .proc import Failure

PATIENCE_S = 10


class Leg(Http):
    """One connection: a trigger is accepted at once, a question answered late."""

    def __init__(self, systems):
        super().__init__()
        self.systems, self.timer = systems, None

    def serve(self, method, target, headers, body):
        if method == "POST":
            self.answer(200, {}, {"metadata": {"name": "a"}})
            return
        is_ci = target.startswith("/ci/")
        document = {"state": "success"} if is_ci else {"status": {"operationState": {"phase": "Running"}}}
        delay_s = self.systems.ci_s if is_ci else self.systems.cd_s
        self.timer = asyncio.get_running_loop().call_later(delay_s, self.late, document)
        self.systems.asked(target)

    def late(self, document):
        self.timer = None
        self.answer(200, {}, document)

    def connection_lost(self, exc):
        super().connection_lost(exc)
        if self.timer:
            self.timer.cancel()
            self.systems.left()


class Systems:
    """ci_s, cd_s: how long each thinks. questions: the paths asked; lost: when askers left, by time.monotonic."""

    def __init__(self, ci_s=0.0, cd_s=0.0):
        self.ci_s, self.cd_s = ci_s, cd_s
        self.loop, self.changed = asyncio.new_event_loop(), threading.Condition()
        self.questions, self.lost = [], []
        self.server = self.loop.run_until_complete(self.loop.create_server(lambda: Leg(self), "127.0.0.1", 0))
        port = self.server.sockets[0].getsockname()[1]
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{port}"

    def asked(self, target):
        with self.changed:
            self.questions.append(target)
            self.changed.notify_all()

    def left(self):
        with self.changed:
            self.lost.append(time.monotonic())
            self.changed.notify_all()

    def wait(self, condition, what):
        with self.changed:
            if not self.changed.wait_for(condition, PATIENCE_S):
                raise Failure(f"waited {PATIENCE_S} s for {what}")

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    def settings(self, target, timeout="5s"):
        """What a configuration says of them; `target` is the Argo CD."""
        return {"targets": {target: {"kind": "argocd", "url": self.url, "timeout": "10s"}},
                "workflow": {"timeout": timeout, "ci": {"url": self.url + "/ci/${event.run}", "status": "/state"}}}
