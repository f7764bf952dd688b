#!/usr/bin/env python3
"""Play end-to-end scenarios against the built programs.

    run.py [--build build] [--kafka 3.9.1] [--brokers none,mock,real] [--only WORD] [--long] [--list] [--keep]

A line per scenario, then 'N passed, N failed, N skipped'. What a failed scenario left (logs, the target's log,
configurations) stays in build/e2e/<scenario>/. Exit code 0: nothing failed; 2: REQUIRE_REAL=1 and no scenario was
played on a real Apache Kafka.
"""
import argparse
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
from harness.proc import Failure, Skip, now  # noqa: E402
from harness.registry import SCENARIOS  # noqa: E402
from harness.stage import Stage  # noqa: E402


class Brokers:
    """Made when the first scenario needs them; the real one lives until the end of the run."""

    def __init__(self, build, programs, version, folder):
        self.build, self.programs, self.version, self.folder = build, programs, version, folder
        self.made = {}

    def get(self, kind):
        if kind == "none":
            return None
        if kind not in self.made:
            if kind == "real":
                self.made[kind] = RealKafka(self.build, self.version, os.path.join(self.folder, "kafka"))
            else:
                self.made[kind] = MockKafka(self.programs, os.path.join(self.folder, "mock"))
        self.made[kind].ensure_up()
        return self.made[kind]

    def stop(self):
        for broker in self.made.values():
            broker.stop()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--kafka", default="3.9.1")
    parser.add_argument("--brokers", default="none,mock,real")
    parser.add_argument("--only", default="")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--keep", action="store_true")
    return parser.parse_args()


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


def main():
    options = arguments()
    os.chdir(os.path.join(HERE, "..", ".."))
    for module in pkgutil.iter_modules(scenarios.__path__):
        importlib.import_module(f"scenarios.{module.name}")
    kinds = options.brokers.split(",")
    chosen = [(s, k) for k in kinds for s in SCENARIOS if k in s.brokers and options.only in f"{s.name} [{k}]"
              and (options.long or options.only == s.name or not s.long)]
    if options.list:
        for s, kind in chosen:
            print(f"{s.name:44} [{kind}]  {s.doc.splitlines()[0] if s.doc else ''}")
        return 0
    revision = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    print(f"scenarios at {revision or 'an unknown revision'}, on {', '.join(kinds)}"
          + (f" (Apache Kafka {options.kafka})" if "real" in kinds else ""), flush=True)
    root = os.path.abspath(os.path.join(options.build, "e2e"))
    brokers = Brokers("build", options.build, options.kafka, root)
    counts = {"ok": 0, "FAIL": 0, "skip": 0}
    real = 0
    try:
        for scenario, kind in chosen:
            folder = os.path.join(root, f"{scenario.name.replace('/', '-')}-{kind}")
            shutil.rmtree(folder, ignore_errors=True)
            options.notes, began = [], now()
            word, text = play(scenario, kind, brokers, folder, options)
            counts[word] += 1
            real += kind == "real" and word == "ok"
            notes = "; ".join([text] * bool(text) + options.notes)
            print(f"{word:4}  {scenario.name:40} [{kind}] {now() - began:6.1f} s  {notes}".rstrip(), flush=True)
            if word == "FAIL":
                print(f"      what it left: {os.path.relpath(folder)}", flush=True)
            elif not options.keep:
                shutil.rmtree(folder, ignore_errors=True)
    finally:
        brokers.stop()
    if counts["skip"]:
        print(f"NOTE: {counts['skip']} scenarios were NOT played; the reason stands in each line above")
    print(f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped")
    if counts["FAIL"]:
        return 1
    return 2 if os.environ.get("REQUIRE_REAL") == "1" and "real" in kinds and not real else 0


if __name__ == "__main__":
    sys.exit(main())
