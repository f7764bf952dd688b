"""make install and uninstall, and the unit file that comes with them. What it does under a real systemd: tests/compose/systemd."""
import os
import re
import shutil
import subprocess

from harness.proc import Skip
from harness.registry import scenario

UNIT = "lib/systemd/system/sluice-consumer@.service"
PROGRAMS = ("sluice-consumer", "sluice-producer")
INSTALLED = {UNIT, "share/doc/sluice/README.md", "share/doc/sluice/LICENSE", "share/doc/sluice/sluice.yaml",
             "share/man/man5/sluice.yaml.5"}
INSTALLED |= {pattern % p for p in PROGRAMS for pattern in (
    "bin/%s", "share/man/man1/%s.1", "share/bash-completion/completions/%s", "share/zsh/site-functions/_%s",
    "share/fish/vendor_completions.d/%s.fish")}


def make(stage, *arguments):
    sanitizer = os.path.basename(stage.programs) if os.path.basename(stage.programs) != "build" else ""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k != "MFLAGS"}
    out = subprocess.run(["make", *arguments, f"SAN={sanitizer}"], env=environment, capture_output=True, text=True)
    stage.demand(out.returncode == 0, f"make {' '.join(arguments)}: {out.stderr[-300:]}")
    return out.stdout


def files(top):
    return {os.path.relpath(os.path.join(folder, name), top) for folder, _, names in os.walk(top) for name in names}


def seconds(text):
    return int(re.fullmatch(r"(\d+)s?", text).group(1))


@scenario(brokers=("none",), timeout_s=60)
def puts_and_removes(stage):
    """DESTDIR stands before every path and in no file; a prefix is in the unit; uninstall leaves nothing."""
    top = os.path.join(stage.folder, "root")
    said = make(stage, "install", f"DESTDIR={top}", "PREFIX=/opt/sluice")
    there, wanted = files(top), {f"opt/sluice/{n}" for n in INSTALLED}
    stage.demand(there == wanted, f"missing {sorted(wanted - there)}, too much {sorted(there - wanted)}")
    with open(os.path.join(top, "opt/sluice", UNIT), encoding="utf-8") as f:
        unit = f.read()
    stage.demand("ExecStart=/opt/sluice/bin/sluice-consumer run" in unit, "the unit starts another program")
    stage.demand(top not in unit and "@PREFIX@" not in unit, "the unit names DESTDIR or no prefix")
    stage.demand("next:" not in said, "a next step is told to a packager")
    check = subprocess.run([os.path.join(top, "opt/sluice/bin/sluice-consumer"), "check",
                            os.path.join(top, "opt/sluice/share/doc/sluice/sluice.yaml")], capture_output=True, text=True)
    stage.demand(check.returncode == 0, f"the example is not accepted: {check.stderr}{check.stdout}")
    make(stage, "uninstall", f"DESTDIR={top}", "PREFIX=/opt/sluice")
    stage.demand(not files(top), f"left: {sorted(files(top))}")


@scenario(brokers=("none",), timeout_s=60)
def unit_holds_together(stage):
    """systemd-analyze accepts the unit, and it gives the stop more time than stop.grace."""
    if not shutil.which("systemd-analyze"):
        raise Skip("no systemd-analyze here (Debian package systemd)")
    top = os.path.join(stage.folder, "root")
    make(stage, "install", f"PREFIX={top}")
    path = os.path.join(top, UNIT)
    said = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True)
    stage.demand(said.returncode == 0 and not said.stderr, f"systemd-analyze: {said.stderr[-300:]}")
    with open(path, encoding="utf-8") as f:
        unit = f.read()
    shown = subprocess.run([stage.consumer, "help", "stop.grace"], capture_output=True, text=True).stdout
    grace = seconds(re.search(r"stop\.grace\s+\((\w+)\)", shown).group(1))
    given = seconds(re.search(r"^TimeoutStopSec=(\w+)$", unit, re.M).group(1))
    stage.demand(given >= grace + 5, f"TimeoutStopSec={given}, stop.grace {grace}")
