#!/usr/bin/env python3
"""The rules of the house that a machine can see.

    lint.py                 check the tree; exit 1 and a line per fault when there is one
    lint.py --only RULE     one rule (see RULES below)
    lint.py --self-test     break a copy of a small tree once per rule and see the rule find it

Every rule is a function of a Tree that yields (file, line, sentence). clang-format and clang-tidy are rules too;
clang-tidy's verdict is kept in build/lint/ under a hash of the file and all of ours that it includes.
"""
import concurrent.futures
import hashlib
import os
import re
import shlex
import subprocess
import sys

import lint_compose

# Each room with the rooms it may look into, beside itself (design: "Rooms and floors").
ROOMS = {
    "base": [],
    "sync": ["base"],
    "wire": ["base", "sync"],
    "event": ["base", "sync", "wire"],
    "kube": ["base", "sync", "wire"],
    "target": ["base", "sync", "wire", "event"],
    "fleet": ["base", "sync", "wire", "event", "target"],
    "ops": ["base", "sync", "wire", "event", "target", "fleet"],
}
HOUSES = ["consumer", "producer"]  # wiring: may look everywhere in include/

# Third-party headers, each behind one door.
LIBRARIES = {
    "librdkafka": r"librdkafka/|rdkafka",
    "hiredis": r"hiredis/|hiredis\.h|hiredis_ssl\.h",
    "libcurl": r"curl/",
    "libmicrohttpd": r"microhttpd\.h",
    "libyaml": r"yaml\.h",
    "libcrypto": r"openssl/(?!(ssl|err|x509v3)\.h)",
    "libssl": r"openssl/(ssl|err|x509v3)\.h",
    "json-c": r"json-c/",
}
JSON_DOOR = re.compile(r"(include/wire/json\.h|src/wire/json\w*\.c)$")

BANNED = ["strcpy", "strcat", "sprintf", "vsprintf", "strtok", "atoi", "gets", "scanf", "sscanf", "fscanf", "rand",
          "sleep", "usleep", "signal", "pthread_cancel", "alloca"]
FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
CLANG_FORMAT_MAJOR = 14  # other versions lay some constructs out differently
MACHINE_PATHS = ["/wor" + "k/", "/roo" + "t/", "/tmp/" + "wt", "/home/" + "[a-z]", r"/tmp/(" + "w|studio)/"]
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)


class Tree:
    """The files git knows about (also new ones that are not ignored), read once."""

    def __init__(self, root):
        self.root = root
        names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root, check=True,
                               capture_output=True, text=True).stdout.splitlines()
        self.files = sorted(n for n in names if os.path.isfile(os.path.join(root, n)))
        self.texts = {}

    def read(self, name):
        if name not in self.texts:
            with open(os.path.join(self.root, name), encoding="utf-8", errors="replace") as f:
                self.texts[name] = f.read()
        return self.texts[name]

    def c_files(self, *tops):
        return [n for n in self.files if n.endswith((".c", ".h")) and n.split("/")[0] in tops]

    def product(self):
        return self.c_files("include", "src", *HOUSES)

    def includes(self, name):
        """(line, quote, path) of each #include."""
        text = self.read(name)
        return [(text.count("\n", 0, m.start()) + 1, m.group(1), m.group(2)) for m in INCLUDE.finditer(text)]

    def resolve(self, name, path):
        """The file of ours that "path" means inside name, or None."""
        for candidate in (os.path.normpath(os.path.join(os.path.dirname(name), path)), f"include/{path}", f"src/{path}"):
            if candidate in self.files:
                return candidate
        return None


def code_only(text):
    """The text with comments and the insides of literals blanked, line numbers kept."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


def room_of(name):
    parts = name.split("/")
    if parts[0] in HOUSES:
        return parts[0]
    return parts[1] if parts[0] in ("include", "src") and len(parts) > 2 else None


def rule_rooms(tree):
    """No room includes upward or sideways."""
    for name in tree.product():
        room = room_of(name)
        if room not in ROOMS and room not in HOUSES:
            yield name, 1, f"stands in no room (rooms: {' '.join(ROOMS)})"
            continue
        for line, quote, path in tree.includes(name):
            other = tree.resolve(name, path) if quote == '"' else None
            if quote == "<" and tree.resolve(name, path):
                yield name, line, f"<{path}> is ours: include it with quotes"
            if other is None or room in HOUSES and room_of(other) not in HOUSES:
                continue
            if room_of(other) != room and room_of(other) not in ROOMS.get(room, []):
                yield name, line, f"room '{room}' may not include '{path}' of room '{room_of(other)}'"


def rule_circles(tree):
    """Includes form no circle."""
    graph = {n: [(l, r) for l, q, p in tree.includes(n) if q == '"' for r in [tree.resolve(n, p)] if r]
             for n in tree.c_files("include", "src", "tests", *HOUSES)}
    done, trail = set(), []

    def visit(name):
        trail.append(name)
        for line, other in graph.get(name, []):
            if other in trail:
                yield name, line, "include circle: " + " -> ".join(trail[trail.index(other):] + [other])
            elif other not in done:
                yield from visit(other)
        trail.pop()
        done.add(name)

    for name in graph:
        if name not in done:
            yield from visit(name)


def rule_doors(tree):
    """Exactly one file includes each third-party library; json-c only through wire/json."""
    for library, pattern in LIBRARIES.items():
        users = {}
        for name in tree.product():
            for line, quote, path in tree.includes(name):
                if re.match(pattern, path) and not (quote == '"' and tree.resolve(name, path)):
                    users.setdefault(name, line)
        if library == "json-c":
            for name, line in users.items():
                if not JSON_DOOR.search(name):
                    yield name, line, "json-c comes in through \"wire/json.h\" only"
        elif len(users) != 1:
            where = ", ".join(sorted(users)) or "nobody"
            name, line = next(iter(users.items())) if users else ("include/wire", 1)
            yield name, line, f"exactly one file may include {library}, now: {where}"


def rule_banned(tree):
    """No banned function."""
    call = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
    for name in tree.c_files("include", "src", "tests", *HOUSES):
        text = code_only(tree.read(name))
        for m in call.finditer(text):
            yield name, text.count("\n", 0, m.start()) + 1, f"{m.group(1)}() is banned"


def rule_sizes(tree):
    """Files and functions stay readable."""
    for name in tree.c_files("include", "src", "tests", *HOUSES):
        lines = tree.read(name).splitlines()
        if len(lines) > FILE_LINES_MAX:
            yield name, 1, f"{len(lines)} lines, {FILE_LINES_MAX} is the most: two ideas?"
        start = None
        for number, line in enumerate(lines, 1):
            if line == "{":
                start = number
            elif line.startswith("}") and start:
                if number - start + 1 > FUNCTION_LINES_MAX:
                    yield name, start, f"function of {number - start + 1} lines, {FUNCTION_LINES_MAX} is the most"
                start = None


def rule_twins(tree):
    """A header has its twin, and the twin includes it first."""
    for name in tree.c_files("include"):
        twin = "src" + name[len("include"):-1] + "c"
        own = name[len("include/"):]
        if twin not in tree.files:
            yield name, 1, f"has no twin {twin}"
            continue
        first = next((path for _, quote, path in tree.includes(twin) if quote == '"'), None)
        if first != own:
            yield twin, 1, f"must include its own header \"{own}\" first, not \"{first}\""


def rule_guards(tree):
    """A header guards itself."""
    for name in tree.product():
        if name.endswith(".h"):
            text = tree.read(name)
            m = re.search(r"^#ifndef (\w+)\n#define (\w+)$", text, re.M)
            if not m or m.group(1) != m.group(2):
                yield name, 1, "has no include guard"


def rule_paths(tree):
    """The tree names no machine."""
    pattern = re.compile("|".join(MACHINE_PATHS))
    for name in tree.files:
        for m in pattern.finditer(tree.read(name)):
            yield name, tree.read(name).count("\n", 0, m.start()) + 1, f"path of a machine: {m.group(0)}"


def major_of(program):
    out = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    m = re.search(r"version (\d+)", out)
    return int(m.group(1)) if m else 0


def rule_format(tree):
    """clang-format changes nothing."""
    if major_of("clang-format") != CLANG_FORMAT_MAJOR:
        print(f"lint: NOTE: layout not checked: clang-format {major_of('clang-format')} here, "
              f"the layout is that of version {CLANG_FORMAT_MAJOR}")
        return
    names = tree.c_files("include", "src", "tests", *HOUSES)
    if not names:
        return
    out = subprocess.run(["clang-format", "--dry-run", "--ferror-limit=1", *names], cwd=tree.root,
                         capture_output=True, text=True)
    for m in re.finditer(r"^(\S+?):(\d+):\d+: \w+: (.*)$", out.stderr, re.M):
        yield m.group(1), int(m.group(2)), f"clang-format -i {m.group(1)}"


def closure(tree, name, seen):
    """name and all of ours that it includes."""
    seen.add(name)
    for _, quote, path in tree.includes(name):
        other = tree.resolve(name, path) if quote == '"' else None
        if other and other not in seen:
            closure(tree, other, seen)
    return seen


def tidy_one(tree, name, flags, salt):
    """clang-tidy's faults in one file, from the cache when nothing it sees has changed."""
    digest = hashlib.sha256(salt.encode())
    for part in sorted(closure(tree, name, set())):
        digest.update(part.encode() + b"\0" + tree.read(part).encode() + b"\0")
    stamp = os.path.join(tree.root, "build", "lint", digest.hexdigest()[:32])
    if os.path.exists(stamp):
        return []
    out = subprocess.run(["clang-tidy", "--quiet", name, "--", *flags], cwd=tree.root, capture_output=True, text=True)
    faults = []
    for m in re.finditer(r"^(\S+?):(\d+):\d+: (?:warning|error): (.*)$", out.stdout, re.M):
        faults.append((os.path.relpath(os.path.join(tree.root, m.group(1)), tree.root), int(m.group(2)), m.group(3)))
    if out.returncode != 0 and not faults:
        faults.append((name, 1, "clang-tidy: " + (out.stderr.strip().splitlines() or ["failed"])[-1]))
    if not faults:
        os.makedirs(os.path.dirname(stamp), exist_ok=True)
        with open(stamp, "w", encoding="utf-8"):
            pass
    return faults


def rule_tidy(tree):
    """clang-tidy is silent."""
    names = [n for n in tree.product() if n.endswith(".c")]
    if not names:
        return
    make = subprocess.run(["make", "-s", "gen", "print-flags"], cwd=tree.root, capture_output=True, text=True)
    flags = shlex.split(make.stdout.strip().splitlines()[-1]) if make.returncode == 0 else ["-iquote", "include"]
    version = subprocess.run(["clang-tidy", "--version"], capture_output=True, text=True).stdout
    salt = version + " ".join(flags) + (tree.read(".clang-tidy") if ".clang-tidy" in tree.files else "")
    seen = set()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for faults in pool.map(lambda n: tidy_one(tree, n, flags, salt), names):
            for fault in faults:
                if fault not in seen:
                    seen.add(fault)
                    yield fault


RULES = {
    "rooms": rule_rooms, "circles": rule_circles, "doors": rule_doors, "banned": rule_banned, "sizes": rule_sizes,
    "twins": rule_twins, "guards": rule_guards, "paths": rule_paths, "compose": lint_compose.rule_compose,
    "format": rule_format, "tidy": rule_tidy,
}


def main(arguments):
    root = subprocess.run(["git", "rev-parse", "--show-toplevel"], cwd=os.path.dirname(os.path.abspath(__file__)),
                          check=True, capture_output=True, text=True).stdout.strip()
    if arguments == ["--self-test"]:
        import lint_selftest
        return lint_selftest.run(root)
    only = arguments[1:] if arguments[:1] == ["--only"] else list(RULES)
    tree, count = Tree(root), 0
    for rule in only:
        for name, line, text in RULES[rule](tree):
            print(f"{name}:{line}: {rule}: {text}")
            count += 1
    print(f"lint: {len(tree.product())} files of C, {len(only)} rules, {count} faults")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
