"""The status of a workflow: how long the console takes to join two slow legs, and how soon both end with their reader.

A real worker triggers once; then the stand-in for both systems (harness/systems.py) holds each question for as long as
its leg is slow, and sees how long a reader's leaving takes to reach it.
"""
import json
import socket
import statistics
import time
import urllib.request

from harness.proc import Failure

CI_MS, CD_MS, LEAVES_MS = 200, 300, 50
APP = "app-0"  # of parts.event(0)


def ask(port):
    """(milliseconds, the answer) of one."""
    began = time.monotonic()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/apps/{APP}/workflow", timeout=10) as answer:
        text = answer.read()
    return (time.monotonic() - began) * 1000, json.loads(text)


def joined_ms(port, rounds):
    """The median of so many; every one must have both legs."""
    times = []
    for _ in range(rounds):
        ms, answer = ask(port)
        said = (answer["ci"]["status"], answer["ci"]["live"].get("says"), answer["cd"]["status"],
                answer["cd"]["targets"][0]["live"].get("phase"))
        if said != ("ok", "success", "ok", "running"):
            raise Failure(f"the legs say {said}: {answer}")
        times.append(ms)
    return statistics.median(times)


def left_ms(port, systems, readers):
    """From a reader's leaving, LEAVES_MS after it asked, until both of its connections are closed; the median."""
    times = []
    for _ in range(readers):
        before, lost = len(systems.questions), len(systems.lost)
        with socket.create_connection(("127.0.0.1", port)) as reader:
            reader.sendall(f"GET /api/v1/apps/{APP}/workflow HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            began = time.monotonic()
            systems.wait(lambda: len(systems.questions) == before + 2, "both legs to be asked")
            time.sleep(max(0.0, began + LEAVES_MS / 1000 - time.monotonic()))
            left = time.monotonic()
        systems.wait(lambda: len(systems.lost) == lost + 2, "both connections to close")
        times.append((systems.lost[-1] - left) * 1000)
    return statistics.median(times)
