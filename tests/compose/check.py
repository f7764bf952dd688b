#!/usr/bin/env python3
"""`make compose-check`: the project of compose/compose.yaml on a real engine, judged by what its target received.

    check.py [--only WORD]     one line per check, then 'N passed, N failed, N skipped'; exit code 1 when one failed

Uses the Docker engine that answers and starts one when none does; only that one is ended. The project has a name, ports and an
image of its own, so one that runs already is not touched. Everything it writes is in build/compose-check/.
"""
import argparse
import ipaddress
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "e2e")]

try:
    import yaml  # noqa: F401
except ImportError:
    sys.exit("compose-check: no python3-yaml here (tests/tools/deps.sh compose installs what is missing)")

import hardening
import play
import ports
import schema
from engine import Engine, Project, docker, last_line, run
from harness.proc import Child, Failure, Skip, free_port, wait_for
from stage import Stage, demand, write_config

COMPOSE_FILE, SLUICE_FILE = "compose/compose.yaml", "compose/sluice.yaml"
IMAGE, BASE = "sluice:check", "debian:trixie-slim"
IMAGES_S = 900
DOT_ENV, VARIABLES = "compose/.env", "compose/.env.example"
UP_EVENTS = 50  # of load in override.yaml
UP_S = 180
WITHOUT_ENGINE = ["config with every profile", "schema of docker-compose", "schema of the compose specification"]
SCENARIOS = [play.scale_and_kill, play.replace, play.restart_kafka, play.restart_redis, play.pause_redis]


def documented_ports():
    """Services with a variable of their own for the port of this host: KAFKA_PORT is kafka's."""
    with open(VARIABLES, encoding="utf-8") as f:
        return [name.lower() for name in re.findall(r"^#?([A-Z]+)_PORT=\d+$", f.read(), re.M)]


class Check:
    def __init__(self, options):
        self.folder = os.path.abspath(os.path.join(options.build, "compose-check"))
        self.producer = os.path.join(options.build, "sluice-producer")
        self.only, self.counts = options.only, {"ok": 0, "FAILED": 0, "skipped": 0}
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(os.path.join(self.folder, "log"))
        os.chmod(os.path.join(self.folder, "log"), 0o777)  # the target is another user inside
        self.ports = {service: free_port() for service in documented_ports()}
        self.env = {f"{s.upper()}_PORT": str(port) for s, port in self.ports.items()}
        self.env.update(SLUICE_IMAGE=IMAGE, CHECK_FOLDER=self.folder)
        self.engine = Engine(self.folder)
        files = [os.path.abspath(COMPOSE_FILE), os.path.join(HERE, "override.yaml")]
        self.project = Project(f"sluice-check-{os.getpid()}", files, self.env, ["demo", "observe"])

    def part(self, name, play, *arguments, needed=False):
        """Play one check and print its line; True when it passed. needed: others stand on it."""
        if self.only not in name and not needed:
            return True
        began, why = time.monotonic(), None
        try:
            why, word = play(*arguments), "ok"
        except Skip as e:
            why, word = e, "skipped"
        except (Failure, OSError, subprocess.SubprocessError, KeyError, ValueError) as e:
            why, word = e if isinstance(e, Failure) else repr(e), "FAILED"
        self.counts[word] += 1
        print(f"{word} {name} ({time.monotonic() - began:.1f} s){': ' if why else ''}{why or ''}", flush=True)
        return word == "ok"

    # --- without the project ---

    def config(self):
        """docker-compose takes the file with every profile, and each file that is laid over it."""
        names, base = schema.profiles(schema.load(COMPOSE_FILE)), [os.path.abspath(COMPOSE_FILE)]
        for chosen in [[], *([n] for n in names), names]:
            Project("sluice-check-config", base, {}, chosen).compose("config", "-q")
        for overlay in schema.overlays(COMPOSE_FILE):
            Project("sluice-check-config", [*base, os.path.abspath(overlay)], {}, names).compose("config", "-q")
        return f"profiles {' '.join(names)}; over it: {' '.join(schema.overlays(COMPOSE_FILE)) or 'nothing'}"

    def packaged_schema(self):
        self.hold_against(schema.packaged_schema())

    def newest_schema(self):
        self.hold_against(schema.newest_schema())

    @staticmethod
    def hold_against(path):
        for file in [COMPOSE_FILE, *schema.overlays(COMPOSE_FILE)]:
            found = list(schema.faults(schema.load(file), path))
            demand(not found, f"{file}: {'; '.join(found[:3])}")
        broken = schema.load(COMPOSE_FILE)
        broken["services"]["consumer"]["cap_dropp"] = ["ALL"]
        demand(list(schema.faults(broken, path)), "a misspelt key goes unseen")

    def images(self):
        """The stand-ins and, as soon as their base is there, ours beside them."""
        makes = Child("images", [os.path.join(HERE, "images")], os.path.join(self.folder, "images.log"), self.env)
        wait_for(lambda: not makes.running() or run(["docker", "image", "inspect", BASE])[0] == 0, IMAGES_S, BASE)
        if makes.exit_code() in (None, 0):
            self.project.compose("build", "consumer", timeout_s=IMAGES_S)
        demand(makes.wait(IMAGES_S) == 0, f"tests/compose/images: {makes.last_lines(1)}")
        megabytes = int(docker("image", "inspect", "--format", "{{.Size}}", IMAGE)) / 1e6
        demand(megabytes < 120, f"the image has {megabytes:.0f} MB, 120 is the most")
        return f"{self.engine.versions()}; {megabytes:.0f} MB"

    def hardening(self):
        absent = [name for name, s in schema.load(COMPOSE_FILE, self.env)["services"].items()
                  if run(["docker", "image", "inspect", s["image"]])[0] != 0]
        failures, summary = hardening.self_test(os.path.abspath(COMPOSE_FILE), self.env, self.folder, absent)
        demand(not failures, "; ".join(f"{f} goes unseen" for f in failures))
        return summary + (f"; no image here of {' '.join(absent)}" if absent else "")

    # --- on the project ---

    def stage(self, name):
        return Stage(self.project, self.producer, self.folder, self.ports["kafka"], name)

    def up(self):
        """`make up`, as a user would; its own load is the first to be judged."""
        write_config(SLUICE_FILE, os.path.join(self.folder, "sluice.yaml"))
        env = {**self.project.env, "COMPOSE_FILE": ":".join(self.project.files), "COMPOSE_PROFILES": "demo",
               "WAIT": str(UP_S), "MAKEFLAGS": ""}
        was_there = os.path.exists(DOT_ENV)
        code, out, errors = run(["make", "-s", "up"], UP_S + 60, env)
        if not was_there and os.path.exists(DOT_ENV):
            os.unlink(DOT_ENV)
        demand(code == 0, f"make up: exit code {code}: {' '.join(errors.split()) or last_line(out)}")
        said = re.search(r"first trigger .*", out)
        demand(said, f"make up shows no first trigger: {last_line(out)}")
        stage = self.stage("up")
        stage.acknowledged = UP_EVENTS
        stage.wait_calls(UP_EVENTS)
        stage.judge(0)
        self.project.compose("up", "-d", "--no-deps", "prometheus")
        self.project.wait_healthy()
        return said.group(0)

    def hardened(self):
        code, out, _ = run([os.path.join(HERE, "containers.py"), self.project.name])
        demand(code == 0, "; ".join(line for line in out.splitlines() if not line.startswith("ok ")))
        return f"{len(out.splitlines())} containers"

    def open_ports(self):
        """Whatever listens, listens on loopback, and is documented."""
        networks = [ipaddress.ip_network(c["Subnet"])
                    for n in json.loads(docker("network", "inspect", f"{self.project.name}_default"))
                    for c in n["IPAM"]["Config"]]
        inspected = self.project.inspect()
        found = list(ports.faults(inspected, networks, self.ports))
        demand(not found, "; ".join(found[:3]))
        return " ".join(sorted({service for service, _, _, _ in ports.published(inspected)}))

    def found_by_prometheus(self):
        """Every consumer is found by its name and scraped."""
        url = f"http://127.0.0.1:{self.ports['prometheus']}/api/v1/query?query=sum(up{{job=%22sluice%22}})"

        def scraped():
            with urllib.request.urlopen(url, timeout=5) as answer:
                rows = json.load(answer)["data"]["result"]
            return rows and int(rows[0]["value"][1]) == len(self.project.ids("consumer"))
        wait_for(scraped, 40, "Prometheus to scrape every consumer", pause_s=0.5)

    def publish_inside(self):
        """`run --rm producer publish` reaches the target."""
        stage = self.stage("inside")
        tools = Project(self.project.name, self.project.files, self.env, ["tools"])
        tools.compose("run", "--rm", "-T", "producer", "publish", "--repo", "acme/api", "--branch", "main", "--commit",
                      "3f9c2e1", "--id", "sim-inside-1", "--no-ci")
        stage.acknowledged = 1
        stage.wait_calls(1, 30)
        stage.judge(0)

    def scenario(self, play):
        stage = self.stage(play.__name__.replace("_", "-")[:10])
        try:
            play(stage)
        finally:
            if stage.load and stage.load.running():
                stage.load.kill()
        return "; ".join(stage.notes)

    def run_project(self):
        up = False
        try:
            up = self.part("make up: all healthy, first trigger", self.up, needed=True)
            if up:
                self.part("containers are hardened", self.hardened)
                self.part("ports: only loopback, only those documented", self.open_ports)
                self.part("Prometheus finds every consumer", self.found_by_prometheus)
                self.part("publish from inside", self.publish_inside)
                for scenario in SCENARIOS:
                    if not self.part(scenario.__doc__, self.scenario, scenario):
                        self.keep_logs()
                        self.project.wait_healthy(60)
            else:
                self.keep_logs()
        finally:
            self.project.down()

    def keep_logs(self):
        code, out, errors = run(self.project.command("logs", "--no-color", "-t"), 60, self.project.env)
        with open(os.path.join(self.folder, "project.log"), "a", encoding="utf-8") as f:
            f.write(out + errors)
        print(f"    the project's logs: {os.path.relpath(f.name)}")

    def run(self):
        began = time.monotonic()
        try:
            for name, play_it in zip(WITHOUT_ENGINE, (self.config, self.packaged_schema, self.newest_schema)):
                self.part(name, play_it)
            if self.only and any(self.only in name for name in WITHOUT_ENGINE):
                pass
            elif self.part("engine", self.engine.start, needed=True) and self.part("images", self.images, needed=True):
                self.part("each line of hardening is missed when it goes", self.hardening)
                self.run_project()
        finally:
            self.engine.stop()
        print(f"compose-check took {time.monotonic() - began:.0f} s")
        if self.counts["skipped"]:
            print(f"NOTE: {self.counts['skipped']} checks were NOT played; the reason stands in each line above")
        print(", ".join(f"{self.counts[w]} {n}" for w, n in (("ok", "passed"), ("FAILED", "failed"), ("skipped", "skipped"))))
        return 1 if self.counts["FAILED"] else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--only", default="", metavar="WORD", help="checks whose line contains it")
    options = parser.parse_args()
    os.chdir(os.path.join(HERE, "..", ".."))
    return Check(options).run()


if __name__ == "__main__":
    sys.exit(main())
