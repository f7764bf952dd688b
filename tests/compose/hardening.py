"""Does the container check find each line of hardening that is missing? For each such line a service is written as it would be
without it, compose creates them all, and the check looks at what the engine made of them. Nothing of it is started."""
import os
import re

import yaml

import containers
import schema
from engine import Project, docker
from harness.proc import Failure

KEYS = ("user", "read_only", "cap_drop", "security_opt", "mem_limit", "pids_limit", "logging")
# What nobody may add to the consumer, by the key that the check blames.
ADDED = {
    "privileged": {"privileged": True},
    "cap_add": {"cap_add": ["SYS_ADMIN"]},
    "volumes": {"volumes": ["/var/run/docker.sock:/var/run/docker.sock"]},
    "NetworkMode": {"network_mode": "host", "expose": []},
    "PidMode": {"pid": "host"},
    "security_opt": {"security_opt": ["no-new-privileges:true", "seccomp:unconfined"]},
    "ports": {"ports": ["9464"]},
}
NOT_COPIED = ("build", "depends_on", "profiles", "scale")


def without(text):
    """(line number, key, text without that line and what is indented under it)."""
    lines = text.splitlines(keepends=True)
    for i, line in enumerate(lines):
        m = re.match(r"( +)(\w+):", line)
        if m and m.group(2) in KEYS:
            end = i + 1
            while end < len(lines) and re.match(m.group(1) + r" +\S", lines[end]):
                end += 1
            yield i + 1, m.group(2), "".join(lines[:i] + lines[end:])


def changed(before, after):
    """The first service that a change of the file changes."""
    return next(name for name, s in after["services"].items() if s != before["services"][name])


def copies(path, env, missing):
    """{name: (what is wrong with it, the key to blame, service)}; missing: services whose image is not here."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    whole, made = yaml.safe_load(schema.interpolate(text, env)), {}
    for number, key, cut in without(text):
        document = yaml.safe_load(schema.interpolate(cut, env))
        name = changed(whole, document)
        if name not in missing:
            made[f"line-{number}"] = (f"line {number}, {key} of {name}", key, document["services"][name])
    if not made:
        raise Failure(f"{path} has no line of hardening")
    for key, more in ADDED.items():
        made[f"added-{key.lower()}"] = (f"{key} added to consumer", key, {**whole["services"]["consumer"], **more})
    return whole, made


def image_is_root(service):
    user = docker("image", "inspect", "--format", "{{.Config.User}}", service["image"]).strip()
    return user.split(":")[0] in ("", "0", "root")


def self_test(path, env, folder, missing=()):
    """Sentences on what the check did not find, and a summary."""
    whole, made = copies(path, env, missing)
    services = {name: {k: v for k, v in s.items() if k not in NOT_COPIED} for name, (_, _, s) in made.items()}
    copy = os.path.join(folder, "copies.yaml")
    with open(copy, "w", encoding="utf-8") as f:
        yaml.safe_dump({**{k: whole[k] for k in ("secrets", "volumes") if k in whole}, "services": services}, f)
    project = Project(f"sluice-check-copies-{os.getpid()}", [copy], env, folder=os.path.dirname(path))
    try:
        project.compose("up", "--no-start")
        found = {c["Config"]["Labels"]["com.docker.compose.service"]: {key for key, _ in containers.faults(c)}
                 for c in project.inspect(stopped=True)}
    finally:
        project.down()
    unseen, held = [], 0
    for name, (what, key, service) in made.items():
        if key not in found.get(name, ()):
            safe = key == "user" and not image_is_root(service)
            held += safe
            unseen += [] if safe else [what]
    return unseen, f"{len(made)} changes found" + (f", {held} of them harmless for the image's own user" if held else "")
