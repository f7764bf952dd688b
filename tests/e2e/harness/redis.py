"""A private redis-server on a free port, and as much of its protocol as the tests speak."""
import os
import shutil
import socket

from .proc import Child, Failure, Skip, free_port, wait_for


class RedisServer:
    """keep: whether what it holds survives a restart (append-only file).
    arguments: more of the server's own. user: as whom the tests ask (with password), where there are users."""

    def __init__(self, folder, keep=False, password=None, arguments=(), user=None):
        if not shutil.which("redis-server"):
            raise Skip("no redis-server here (Debian package redis-server)")
        os.makedirs(folder, exist_ok=True)
        self.folder, self.keep, self.password, self.port, self.child = folder, keep, password, free_port(), None
        self.arguments, self.user = list(arguments), user
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self):
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder, "--save", "",
                   "--appendonly", "yes" if self.keep else "no", "--appendfsync", "always", "--daemonize", "no"]
        if self.password and not self.user:
            command += ["--requirepass", self.password]
        command += self.arguments
        self.child = Child("redis", command, os.path.join(self.folder, "redis.log"))
        wait_for(self.answers, 20, "Redis to answer", pause_s=0.02, alive=[self.child])

    def answers(self):
        try:
            return self.ask("PING") == "PONG"
        except (OSError, Failure):  # not there yet, or still loading its data
            return False

    def ask(self, *words, timeout_s=5):
        """One command, one reply: str, int, None or list; an error reply is a Failure."""
        with socket.create_connection(("127.0.0.1", self.port), timeout_s) as s:
            stream = s.makefile("rwb")
            if self.password:
                self._send(stream, "AUTH", *([self.user] if self.user else []), self.password)
                self._read(stream)
            self._send(stream, *words)
            return self._read(stream)

    @staticmethod
    def _send(stream, *words):
        parts = [str(w).encode() for w in words]
        stream.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
        stream.flush()

    def _read(self, stream):
        line = stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"-":
            raise Failure(f"Redis said: {rest}")
        if kind == b"$":
            return None if rest == "-1" else stream.read(int(rest) + 2)[:-2].decode(errors="replace")
        return [self._read(stream) for _ in range(int(rest))]

    def keys(self, pattern="*"):
        return self.ask("KEYS", pattern)

    def kill(self):
        self.child.kill()

    def restart(self):
        """kill -9 and start again on the same port: empty unless `keep`."""
        self.kill()
        self.start()

    def stop(self):
        self.child.thaw()
        self.child.kill()
