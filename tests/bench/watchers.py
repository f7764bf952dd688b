"""What the console costs that many watch: live clients, or polls of the same JSON."""
import os
import resource
import selectors
import socket
import subprocess
import time

from harness.proc import Child, free_port, wait_for
from parts import Process

ASK = {"live": b"GET /api/v1/stream HTTP/1.1\r\nHost: a\r\n\r\n", "poll": b"GET /api/v1/fleet HTTP/1.1\r\nHost: a\r\n\r\n"}
SETTLE_S, FRAMES = 2, 20


class Console(Child):
    def __init__(self, build, folder, worker):
        self.program, self.config, self.port = os.path.join(build, "sluice-consumer"), worker.config_path, free_port()
        super().__init__("console", [self.program, "console", "-c", self.config, "--listen", f"127.0.0.1:{self.port}"],
                         os.path.join(folder, "console.log"))
        wait_for(lambda: "msg" in self.log(), 10, "the console to say that it listens", alive=[self])

    def cost_of_visits(self, clients, seconds):
        """CPU seconds a second, while so many polls a second come, each on a connection of its own, as from curl."""
        ask = ASK["poll"].replace(b"Host: a\r\n", b"Host: a\r\nConnection: close\r\n")
        begin, asked = Process(self.pid), 0
        while time.monotonic() < begin.at + seconds:
            with socket.create_connection(("127.0.0.1", self.port)) as s:
                s.sendall(ask)
                while s.recv(1 << 18):
                    pass
            asked += 1
            time.sleep(max(0.0, begin.at + asked / clients - time.monotonic()))
        end = Process(self.pid)
        return (end.cpu_s - begin.cpu_s) / (end.at - begin.at)

    def cost(self, way, clients, seconds):
        """CPU seconds a second, while so many clients get a frame each second. Connections are kept."""
        selector = selectors.DefaultSelector()
        sockets = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(clients)]
        for s in sockets:
            selector.register(s, selectors.EVENT_READ)
            s.setblocking(False)
        if way == "live":
            for s in sockets:
                s.sendall(ASK[way])
        self._read(selector, time.monotonic() + SETTLE_S)
        begin, asked = Process(self.pid), 0
        while time.monotonic() < begin.at + seconds:
            if way == "poll":
                sockets[asked % clients].sendall(ASK[way])
            asked += 1
            self._read(selector, begin.at + asked / clients)
        end = Process(self.pid)
        for s in sockets:
            s.close()
        return (end.cpu_s - begin.cpu_s) / (end.at - begin.at)

    @staticmethod
    def _read(selector, until):
        while time.monotonic() < until:
            for key, _ in selector.select(until - time.monotonic()):
                if not key.fileobj.recv(1 << 18):
                    raise ConnectionError("the console dropped a client")

    def frame_cost(self):
        """CPU seconds of one poll that makes the frame itself."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for _ in range(FRAMES):
            subprocess.run([self.program, "status", "--json", "-c", self.config], stdout=subprocess.DEVNULL, timeout=30)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / FRAMES
