"""Is the compose file one that docker-compose takes, with every profile, and that the compose specification allows?"""
import glob
import json
import os
import re
import shutil

import yaml

from harness.proc import Skip

from engine import last_line, run

SPECIFICATION = ("github.com/compose-spec/compose-go/v2@v2.16.2", "schema/compose-spec.json")
PACKAGED = "/usr/lib/python3*/dist-packages/compose/config/compose_spec.json"


def interpolate(text, env):
    """What compose does with ${NAME}, ${NAME:-default} and $$."""
    def value(m):
        if m.group(0) == "$$":
            return "$"
        return env.get(m.group(1)) or m.group(2) or ""
    return re.sub(r"\$\$|\$\{(\w+)(?::?-([^}]*))?\}", value, text)


def load(path, env=()):
    """The file with anchors resolved and variables filled in."""
    with open(path, encoding="utf-8") as f:
        return yaml.safe_load(interpolate(f.read(), dict(env)))


def overlays(path):
    """Other compose files beside it."""
    beside = sorted(set(glob.glob(os.path.join(os.path.dirname(path), "*.yaml"))) - {path})
    return [other for other in beside if "services" in load(other)]


def profiles(document):
    return sorted({p for s in document["services"].values() for p in s.get("profiles", [])})


def packaged_schema():
    """The one that docker-compose 1.29.2 holds files against."""
    paths = glob.glob(PACKAGED)
    if not paths:
        raise Skip("docker-compose's own schema is not here (it comes with Debian's package docker-compose)")
    return paths[0]


def newest_schema():
    """The one of compose v2, by Go's module proxy."""
    if not shutil.which("go"):
        raise Skip("no go here, so the newest schema cannot be fetched")
    module, inside = SPECIFICATION
    code, out, errors = run(["go", "mod", "download", "-json", module], 120, {"GOFLAGS": "-mod=mod"}, cwd="/")
    if code != 0:
        raise Skip(f"{module} cannot be fetched: {last_line(out if 'Error' in out else errors)}")
    return os.path.join(json.loads(out)["Dir"], inside)


def faults(document, schema_path):
    """Sentences, each with the place in the file."""
    try:
        import jsonschema
    except ImportError:
        raise Skip("no python3-jsonschema here") from None
    with open(schema_path, encoding="utf-8") as f:
        schema = json.load(f)
    judge = jsonschema.validators.validator_for(schema)(schema)
    for e in judge.iter_errors(document):
        yield f"{'.'.join(str(p) for p in e.absolute_path) or 'file'}: {e.message[:200]}"
