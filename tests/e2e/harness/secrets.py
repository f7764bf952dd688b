"""Certificates, passwords and Redis users as compose/secure/make.sh makes them for people."""
import os
import subprocess

from .proc import Failure

HERE = os.path.dirname(os.path.abspath(__file__))
MAKE = os.path.join(HERE, "..", "..", "..", "compose", "secure", "make.sh")


class Secrets:
    def __init__(self, folder):
        self.folder = folder
        self.make()

    def make(self, valid_days=30):
        """What is missing; 0 days: over at once."""
        out = subprocess.run([MAKE, self.folder], capture_output=True, text=True, env={**os.environ, "VALID_DAYS": str(valid_days)})
        if out.returncode != 0:
            raise Failure(f"make.sh: {out.stderr.strip()[-300:]}")

    def path(self, name):
        return os.path.join(self.folder, name)

    def text(self, name):
        with open(self.path(name), encoding="ascii") as f:
            return f.read().strip()

    def expire(self, name):
        """The certificate of this one is over from now on."""
        for kind in ("crt", "key", "pem"):
            os.remove(self.path(f"{name}.{kind}"))
        self.make(valid_days=0)

    def users(self, change=lambda line: line):
        """The file of Redis' users, with one more for the tests' own questions; change: of each line."""
        with open(self.path("redis-users.acl"), encoding="ascii") as f:
            lines = [change(line) for line in f.read().splitlines()]
        path = self.path("users-of-the-test.acl")
        with open(path, "w", encoding="ascii") as f:
            f.write("\n".join(lines + ["user tests on >tests ~* &* +@all"]) + "\n")
        return path
