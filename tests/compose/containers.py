#!/usr/bin/env python3
"""Is each container of a project hardened? Reads what the engine says, not what the compose file says.

    containers.py PROJECT         one line per container: 'ok NAME' or 'FAILED NAME: why; why'; exit code 1 on a fault

As a module: faults(inspected) judges one document of `docker inspect`.
"""
import json
import subprocess
import sys

# What a service cannot have, and why.
EXCEPTIONS = {"kafka": {"read_only": "the image writes its configuration at start"}}


def _user(c, host):
    user = c["Config"]["User"].split(":")[0]
    if user in ("", "0", "root"):
        yield "user", "runs as root"


def _capabilities(c, host):
    if "ALL" not in [cap.upper() for cap in host["CapDrop"] or []]:
        yield "cap_drop", "keeps capabilities"
    if host["CapAdd"]:
        yield "cap_add", f"adds capabilities {' '.join(host['CapAdd'])}"
    if host["Privileged"]:
        yield "privileged", "is privileged"
    options = host["SecurityOpt"] or []
    if not {"no-new-privileges", "no-new-privileges:true"} & set(options):
        yield "security_opt", "may gain privileges"
    if any("unconfined" in o for o in options):
        yield "security_opt", f"is unconfined: {' '.join(options)}"


def _filesystem(c, host):
    if not host["ReadonlyRootfs"]:
        yield "read_only", "writes to its root"
    for mount in c["Mounts"]:
        source = mount.get("Source", "")
        if source.endswith("docker.sock") or source == "/":
            yield "volumes", f"has {source} of the host"
    if host["Devices"]:
        yield "devices", "has devices of the host"


def _limits(c, host):
    if not host["Memory"]:
        yield "mem_limit", "has no memory limit"
    if not host["PidsLimit"] or host["PidsLimit"] < 0:
        yield "pids_limit", "has no limit of processes"
    if host["LogConfig"]["Type"] == "json-file" and "max-size" not in (host["LogConfig"]["Config"] or {}):
        yield "logging", "has a log without limit"


def _namespaces(c, host):
    for key, words in (("NetworkMode", "network"), ("PidMode", "processes"), ("IpcMode", "shared memory"),
                       ("UTSMode", "name"), ("UsernsMode", "users")):
        if host.get(key) == "host":
            yield key, f"shares the host's {words}"
    for port, bindings in (host["PortBindings"] or {}).items():
        for b in bindings or []:
            if b["HostIp"] not in ("127.0.0.1", "::1"):
                yield "ports", f"port {port} is open to the network"


def faults(inspected):
    """[(key of the compose file, sentence)] of one container."""
    service = inspected["Config"]["Labels"].get("com.docker.compose.service", "")
    allowed = EXCEPTIONS.get(service, {})
    host = inspected["HostConfig"]
    return [(key, text) for rule in (_user, _capabilities, _filesystem, _limits, _namespaces)
            for key, text in rule(inspected, host) if key not in allowed]


def main(project):
    ids = subprocess.run(["docker", "ps", "-aq", "--filter", f"label=com.docker.compose.project={project}"], check=True,
                         capture_output=True, text=True).stdout.split()
    if not ids:
        print(f"no container of a project '{project}' (docker ps -a shows what there is)", file=sys.stderr)
        return 1
    inspected = json.loads(subprocess.run(["docker", "inspect", *ids], check=True, capture_output=True, text=True).stdout)
    bad = 0
    for c in sorted(inspected, key=lambda c: c["Name"]):
        found = [text for _, text in faults(c)]
        bad += bool(found)
        print(f"FAILED {c['Name'][1:]}: {'; '.join(found)}" if found else f"ok {c['Name'][1:]}")
    return 1 if bad else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
