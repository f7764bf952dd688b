"""The engine, started when none answers, and one compose project on it."""
import json
import os
import shutil
import subprocess

from harness.proc import Child, Failure, Skip, wait_for

COMPOSE = os.environ.get("COMPOSE", "docker-compose").split()
DOCKERD_READY_S = 40
RESTARTS_MAX = 4  # whatever restarted so often will not become healthy


def run(command, timeout_s=120, env=None, cwd=None, stdin=None):
    """(exit code, stdout, stderr)."""
    out = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, cwd=cwd, input=stdin,
                         stdin=subprocess.DEVNULL if stdin is None else None, env={**os.environ, **(env or {})})
    return out.returncode, out.stdout, out.stderr


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][-300:] if lines else "(no output)"


def docker(*arguments, timeout_s=120):
    code, out, errors = run(["docker", *arguments], timeout_s)
    if code != 0:
        raise Failure(f"docker {' '.join(arguments)[:120]}: {last_line(errors)}")
    return out


class Engine:
    """Uses the engine that answers; starts dockerd when none does, and ends only that one."""

    def __init__(self, folder):
        self.folder, self.child = folder, None

    @staticmethod
    def answers():
        try:
            return run(["docker", "info"], 30)[0] == 0
        except subprocess.TimeoutExpired:
            return False

    def start(self):
        for program, package in (("docker", "docker.io"), (COMPOSE[0], "docker-compose")):
            if not shutil.which(program):
                raise Skip(f"no {program} here (Debian package {package})")
        if self.answers():
            return
        if os.geteuid() != 0:
            raise Skip("no Docker engine answers, and only root can start one")
        if not shutil.which("dockerd"):
            raise Skip("no dockerd here (Debian package docker.io)")
        self.child = Child("dockerd", ["dockerd"], os.path.join(self.folder, "dockerd.log"))
        try:
            wait_for(self.answers, DOCKERD_READY_S, "dockerd to answer", pause_s=0.5, alive=[self.child])
        except Failure as e:
            why = self.child.last_lines(1)
            self.stop()
            raise Skip(f"dockerd cannot be started here: {e}: {why}") from None

    def stop(self):
        if self.child:
            self.child.term()
            self.child.wait(60)
            self.child = None

    def versions(self):
        server = docker("version", "--format", "{{.Server.Version}}").strip()
        return f"engine {server}, {run([*COMPOSE, 'version', '--short'])[1].strip()} of {' '.join(COMPOSE)}"


class Project:
    """One compose project. files: compose files in order; env: what they interpolate; folder: what their paths are
    relative to, if not the first file's."""

    def __init__(self, name, files, env, profiles=(), folder=None):
        self.name, self.files, self.profiles, self.folder = name, files, profiles, folder
        self.env = {**env, "COMPOSE_PROJECT_NAME": name}

    def command(self, *arguments):
        files = [part for f in self.files for part in ("-f", f)]
        profiles = [part for p in self.profiles for part in ("--profile", p)]
        folder = ["--project-directory", self.folder] if self.folder else []
        return [*COMPOSE, *folder, *files, *profiles, *arguments]

    def compose(self, *arguments, timeout_s=180, stdin=None):
        """stdout; Failure with the last line of what it said."""
        try:
            code, out, errors = run(self.command(*arguments), timeout_s, self.env, stdin=stdin)
        except subprocess.TimeoutExpired:
            raise Failure(f"{COMPOSE[0]} {' '.join(arguments)} took more than {timeout_s} s") from None
        if code != 0:
            raise Failure(f"{COMPOSE[0]} {' '.join(arguments)}: exit code {code}: {last_line(errors or out)}")
        return out

    def ids(self, service=None, stopped=False):
        """Containers, oldest first."""
        wanted = [f"label=com.docker.compose.project={self.name}", "label=com.docker.compose.oneoff=False"]
        wanted += [f"label=com.docker.compose.service={service}"] if service else []
        filters = [part for w in wanted for part in ("--filter", w)]
        return docker("ps", "-q", *(["-a"] if stopped else []), *filters).split()[::-1]

    def inspect(self, service=None, stopped=False):
        ids = self.ids(service, stopped)
        return json.loads(docker("inspect", *ids)) if ids else []

    def unwell(self):
        """Sentences on containers that are neither healthy nor ended well."""
        faults = []
        for c in self.inspect(stopped=True):
            state, name = c["State"], c["Name"].lstrip("/")
            health = state.get("Health", {}).get("Status")
            if state["Running"] and health not in (None, "healthy"):
                faults.append(f"{name} is {health}")
            elif not state["Running"] and state["ExitCode"] != 0:
                faults.append(f"{name} ended with {state['ExitCode']}")
            elif state["Restarting"]:
                faults.append(f"{name} restarts again and again")
        return faults

    def wait_healthy(self, timeout_s=60):
        def well_or_hopeless():
            return not self.unwell() or any(c["RestartCount"] >= RESTARTS_MAX for c in self.inspect(stopped=True))
        try:
            wait_for(well_or_hopeless, timeout_s, "all to be healthy", pause_s=0.3)
        finally:
            faults = self.unwell()
        if faults:
            raise Failure("; ".join(faults))

    def down(self):
        run(self.command("down", "-v", "--remove-orphans", "-t", "2"), 180, self.env)
