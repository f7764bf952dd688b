"""What an operator does beside the fleet: commands of sluice-consumer with a worker's configuration."""
import os
import re
import subprocess

from .proc import Child


def ask(stage, *words, code=0, stdin=None):
    """Run one; (stdout, stderr). code: what it must end with, None: anything."""
    worker = next(iter(stage.workers.values()))
    out = subprocess.run([stage.consumer, *words, "-c", worker.config_path], capture_output=True, text=True, timeout=90,
                         stdin=stdin or subprocess.DEVNULL)
    stage.demand(code in (None, out.returncode),
                 f"{' '.join(words)}: exit code {out.returncode}, not {code}: {(out.stderr or out.stdout)[-300:]}")
    return out.stdout, out.stderr


def begin(stage, *words):
    """The same, left running; ends with the scenario."""
    worker = next(iter(stage.workers.values()))
    child = subprocess.Popen([stage.consumer, *words, "-c", worker.config_path], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)

    def stop():
        child.kill()
        child.communicate()
    stage.also(type("Running", (), {"stop": staticmethod(stop)}))
    return child


def console(stage, token, *flags):
    """Start one beside the fleet, for who has this token; its address. Ends with the scenario."""
    return console_at(stage, next(iter(stage.workers.values())).config_path, token, *flags)


def console_at(stage, config_path, token="nobody-knows-this-one", *flags):
    """The same with a configuration of its own."""
    path = os.path.join(stage.folder, "token")
    with open(path, "w", encoding="utf-8") as file:
        file.write(token + "\n")
    child = Child("console", [stage.consumer, "console", "-c", config_path, "--log-format", "json", "--listen",
                              "127.0.0.1:0", "--token-file", path, *flags], os.path.join(stage.folder, "console.log"))
    stage.also(type("Console", (), {"stop": staticmethod(child.kill)}))
    child.wait_log('"msg":"console"')
    return "http://127.0.0.1:" + re.search(r'"msg":"console".*?"port":(\d+)', child.log()).group(1)
