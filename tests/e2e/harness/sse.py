"""Clients of the live stream: one that reads frames, and a crowd of which some take nothing."""
import http.client
import json
import selectors
import socket
import threading

from .proc import now


class Listener:
    """One client. frames() yields (id, event, data) until the server ends the stream."""

    def __init__(self, port, query="", last_id=None, timeout_s=20, headers=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
        self.connection.request("GET", "/api/v1/stream" + query,
                                headers={**({"Last-Event-ID": last_id} if last_id else {}), **(headers or {})})
        self.answer = self.connection.getresponse()

    def frames(self):
        frame = {}
        for raw in iter(self.answer.readline, b""):
            line = raw.decode().rstrip("\n")
            if line:
                name, _, value = line.partition(": ")
                frame[name] = value
                continue
            if "event" in frame:
                yield frame.get("id"), frame["event"], json.loads(frame["data"])
            frame = {}

    def until(self, wanted, limit=10000):
        """All frames up to the first that is wanted(event, data)."""
        seen = []
        for frame in self.frames():
            seen.append(frame)
            if wanted(frame[1], frame[2]):
                return seen
            if len(seen) > limit:
                break
        return seen

    def close(self):
        self.connection.close()


class Crowd:
    """Clients on raw sockets, read by one thread. Of each that reads: the numbers of the notices it got."""

    def __init__(self, port, reading, stalled):
        self.selector, self.stopping = selectors.DefaultSelector(), False
        self.readers = [self._join(port) for _ in range(reading)]
        self.stalled = [self._join(port, small=True) for _ in range(stalled)]
        for reader in self.readers:
            self.selector.register(reader["socket"], selectors.EVENT_READ, reader)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    @staticmethod
    def _join(port, small=False):
        s = socket.socket()
        if small:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", port))
        s.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: a\r\n\r\n")
        return {"socket": s, "rest": b"", "text": b"", "notices": [], "goodbye": False, "ended": None}

    def _read(self):
        while not self.stopping:
            for key, _ in self.selector.select(0.2):
                self._take(key.data)

    def _take(self, reader):
        try:
            data = reader["socket"].recv(65536)
        except OSError:
            data = b""
        if not data:
            reader["ended"] = now()
            self.selector.unregister(reader["socket"])
            return
        reader["rest"] += data
        if b"\r\n\r\n" in reader["rest"] and reader["rest"].startswith(b"HTTP/"):
            reader["rest"] = reader["rest"].split(b"\r\n\r\n", 1)[1]
        while b"\r\n" in reader["rest"]:
            size, rest = reader["rest"].split(b"\r\n", 1)
            length = int(size, 16)
            if len(rest) < length + 2:
                break
            reader["text"] += rest[:length]
            reader["rest"] = rest[length + 2:]
        *frames, reader["text"] = reader["text"].split(b"\n\n")
        for frame in frames:
            if b"event: notice" in frame:
                reader["notices"].append(json.loads(frame.split(b"data: ", 1)[1])["n"])
            reader["goodbye"] = reader["goodbye"] or b"event: goodbye" in frame

    def stop(self):
        self.stopping = True
        self.thread.join()
        for client in self.readers + self.stalled:
            client["socket"].close()
