#!/usr/bin/env python3
"""Play end-to-end scenarios against the built programs.

    run.py [--build build] [--kafka 3.9.1] [--brokers none,mock,real] [--only WORD] [--jobs N] [--long] [--list] [--keep]

A line per scenario, then 'N passed, N failed, N skipped'. What a failed scenario left (logs, the target's log,
configurations) stays in build/e2e/<scenario>/. --jobs plays so many side by side, each in a process of its own;
scenarios that hurt a shared broker are played alone, at the end. Exit code 0: nothing failed; 2: REQUIRE_REAL=1 and
no scenario was played on a real Apache Kafka.
"""
import argparse
import concurrent.futures
import importlib
import os
import pkgutil
import shutil
import signal
import subprocess
import sys
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import scenarios  # noqa: E402
from harness.kafka import MockKafka, RealKafka  # noqa: E402
from harness.proc import Failure, MockStuck, Skip, now  # noqa: E402
from harness.registry import SCENARIOS  # noqa: E402
from harness.stage import Stage  # noqa: E402


class Brokers:
    """Made when the first scenario needs them; the real one lives until the end of the run."""

    def __init__(self, options, folder):
        self.options, self.folder, self.made, self.missing = options, folder, {}, {}

    def get(self, kind):
        if kind == "none":
            return None
        if kind in self.missing:
            raise Skip(self.missing[kind])
        try:
            if kind not in self.made:
                self.made[kind] = self.real() if kind == "real" else MockKafka(
                    self.options.build, os.path.join(self.folder, f"mock-{os.getpid()}"))
        except Skip as e:
            self.missing[kind] = str(e)
            raise
        self.made[kind].ensure_up()
        return self.made[kind]

    def real(self):
        ports = tuple(int(p) for p in self.options.ports.split(",")) if self.options.ports else None
        return RealKafka("build", self.options.kafka, os.path.join(self.folder, "kafka"), ports)

    def stop(self):
        for broker in self.made.values():
            broker.stop()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", help="where the programs are")
    parser.add_argument("--kafka", default="3.9.1", help="version of Apache Kafka")
    parser.add_argument("--brokers", default="none,mock,real")
    parser.add_argument("--only", default="", help="names, with the broker in brackets, that contain this")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--long", action="store_true", help="also what takes minutes by itself")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--keep", action="store_true", help="also keep what scenarios leave that went well")
    parser.add_argument("--one", default="", help=argparse.SUPPRESS)  # one job: play this one, print its line
    parser.add_argument("--ports", default="", help=argparse.SUPPRESS)  # of the broker that the run has started
    return parser.parse_args()


def title(scenario, kind):
    return f"{scenario.name} [{kind}]"


def on_alarm(number, frame):
    raise Failure("took longer than its time limit")


def play(scenario, kind, brokers, folder, options):
    """('ok' | 'FAIL' | 'skip', sentence)"""
    stage, result = None, ("ok", "")
    signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(scenario.timeout_s + 60)  # the broker may have to be healed first
    try:
        broker = brokers.get(kind)
        stage = Stage(scenario.name, folder, options.build, broker, options)
        signal.alarm(scenario.timeout_s)
        scenario.play(stage)
    except Skip as e:
        result = ("skip", str(e))
    except MockStuck as e:
        result = ("stuck", str(e))
    except Failure as e:
        result = ("FAIL", str(e))
    except Exception as e:  # a bug of the scenario or something unforeseen: also a failure, with its place
        result = ("FAIL", f"{type(e).__name__}: {e} ({traceback.format_exc().splitlines()[-3].strip()})")
        traceback.print_exc(file=sys.stderr)
    finally:
        signal.alarm(0)
        if stage:
            stage.close()
    return result


def play_and_tell(scenario, kind, brokers, root, options):
    """One scenario; returns its word and its line."""
    folder = os.path.join(root, title(scenario, kind).translate(str.maketrans("/ ", "--", "[]")))
    shutil.rmtree(folder, ignore_errors=True)
    options.notes, began = [], now()
    word, text = play(scenario, kind, brokers, folder, options)
    if word == "stuck":  # nothing was tested: once more, on a new mock cluster, and said so
        shutil.rmtree(folder + "-stuck", ignore_errors=True)
        os.rename(folder, folder + "-stuck")
        options.notes.append(f"{text}: played again")
        word, text = play(scenario, kind, brokers, folder, options)
        word = "FAIL" if word == "stuck" else word
    notes = "; ".join([text] * bool(text) + options.notes)
    line = f"{word:4}  {title(scenario, kind):50} {now() - began:6.1f} s  {notes}".rstrip()
    if word == "FAIL":
        line += f"\n      what it left: {os.path.relpath(folder)}"
    elif not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return word, line


def play_in_a_job(scenario, kind, brokers, options):
    """The same in a process of its own: its word and its line."""
    command = [sys.executable, os.path.abspath(__file__), "--one", title(scenario, kind), "--build", options.build,
               "--kafka", options.kafka, *(["--keep"] if options.keep else [])]
    if kind == "real":
        command += ["--ports", ",".join(str(p) for p in brokers.made["real"].ports)]
    out = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    line = out.stdout.strip() or f"FAIL  {title(scenario, kind)}: {out.stderr.strip()[-300:]}"
    return line.split()[0], line + ("\n" + out.stderr.strip() if out.stderr.strip() else "")


def play_all(chosen, brokers, root, options):
    """Yields (kind, word, line) as they end."""
    aside = [c for c in chosen if options.jobs > 1 and not (c[0].alone and c[1] == "real")]
    if any(kind == "real" for _, kind in aside):
        try:
            brokers.get("real")
        except Skip:
            aside = [c for c in aside if c[1] != "real"]  # each says so in its own line below
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        jobs = {pool.submit(play_in_a_job, s, kind, brokers, options): kind for s, kind in aside}
        for job in concurrent.futures.as_completed(jobs):
            yield jobs[job], *job.result()
    for s, kind in chosen:
        if (s, kind) not in aside:
            yield kind, *play_and_tell(s, kind, brokers, root, options)


def choose(options):
    kinds = options.brokers.split(",")
    pairs = [(s, kind) for kind in kinds for s in SCENARIOS if kind in s.brokers]
    if options.one:
        return [(s, kind) for s, kind in pairs if title(s, kind) == options.one]
    return [(s, kind) for s, kind in pairs if options.only in title(s, kind)
            and (options.long or not s.long or options.only and options.only in (s.name, title(s, kind)))]


def run(chosen, options):
    root = os.path.abspath(os.path.join(options.build, "e2e"))
    brokers = Brokers(options, root)
    counts, real = {"ok": 0, "FAIL": 0, "skip": 0}, 0
    try:
        if options.one:
            word, line = play_and_tell(*chosen[0], brokers, root, options)
            print(line)
            return 0
        for kind, word, line in play_all(chosen, brokers, root, options):
            counts[word] += 1
            real += kind == "real" and word == "ok"
            print(line, flush=True)
    finally:
        brokers.stop()
    if counts["skip"]:
        print(f"NOTE: {counts['skip']} scenarios were NOT played; the reason stands in each line above")
    print(f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped")
    if counts["FAIL"]:
        return 1
    return 2 if os.environ.get("REQUIRE_REAL") == "1" and "real" in options.brokers and not real else 0


def main():
    options = arguments()
    os.chdir(os.path.join(HERE, "..", ".."))
    for module in pkgutil.iter_modules(scenarios.__path__):
        importlib.import_module(f"scenarios.{module.name}")
    chosen = choose(options)
    if options.list:
        for s, kind in chosen:
            print(f"{title(s, kind):50} {s.doc.splitlines()[0] if s.doc else ''}")
        return 0
    if not options.one:
        revision = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
        print(f"scenarios at {revision or 'an unknown revision'}, on {options.brokers}"
              + (f" (Apache Kafka {options.kafka})" if "real" in options.brokers else ""), flush=True)
    return run(chosen, options)


if __name__ == "__main__":
    sys.exit(main())
