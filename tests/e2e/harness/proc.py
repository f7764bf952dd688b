"""Child processes that never outlive the run, and waiting for facts instead of for time.

Children are started from the main thread only: the kernel ends them (PR_SET_PDEATHSIG, by util-linux' setpriv) when the
thread that made them is gone.
"""
import os
import signal
import socket
import subprocess
import time


class Failure(Exception):
    """A scenario did not see what it had to see; the text is one sentence."""


class Skip(Exception):
    """A scenario cannot run here; the text says what is missing."""


class MockStuck(Failure):
    """librdkafka's mock cluster never formed the group: nobody got an assignment, so nothing was tested."""


def now():
    return time.monotonic()


def wait_for(check, timeout_s, what, pause_s=0.05, alive=()):
    """Call check until it returns something true; return that. Failure after timeout_s, or when a child of `alive` died."""
    deadline = now() + timeout_s
    while True:
        result = check()
        if result:
            return result
        for child in alive:
            if child.exit_code() is not None:
                raise Failure(f"{child.name} ended with {child.exit_code()} while waiting for {what}: {child.last_lines()}")
        if now() > deadline:
            raise Failure(f"waited {timeout_s} s in vain for {what}")
        time.sleep(pause_s)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Child:
    """A process of ours; its stdout and stderr go to one log file."""

    def __init__(self, name, command, log_path, env=None, stdin=None):
        self.name = name
        self.log_path = log_path
        self.started = now()
        with open(log_path, "ab") as log:
            self.popen = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *command], stdout=log, stderr=log,
                                          stdin=stdin or subprocess.DEVNULL, env={**os.environ, **(env or {})})
        self.pid = self.popen.pid

    def exit_code(self):
        """None while it runs; -9 after SIGKILL."""
        return self.popen.poll()

    def running(self):
        return self.exit_code() is None

    def signal(self, number):
        if self.running():
            self.popen.send_signal(number)

    def term(self):
        self.signal(signal.SIGTERM)

    def freeze(self):
        self.signal(signal.SIGSTOP)

    def thaw(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        """SIGKILL, and gone when this returns."""
        self.signal(signal.SIGKILL)
        self.popen.wait(30)

    def wait(self, timeout_s):
        """The exit code; Failure when it does not come in time."""
        try:
            return self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not end within {timeout_s} s: {self.last_lines()}") from None

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def wait_log(self, text, timeout_s=20):
        wait_for(lambda: text in self.log(), timeout_s, f"{self.name} to log '{text}'", pause_s=0.02, alive=[self])

    def cpu_s(self):
        """Seconds of CPU so far."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def last_lines(self, count=3):
        return " | ".join(self.log().splitlines()[-count:])[-600:]
