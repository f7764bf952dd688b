"""Does each lint rule find what it is for? A small good tree is made, broken once per case, and judged."""
import os
import shutil
import subprocess
import tempfile

import lint

GOOD = {
    "Makefile": "gen:\nprint-flags:\n\t@echo -std=c11 -iquote include\n",
    "include/base/err.h": "#ifndef BASE_ERR_H\n#define BASE_ERR_H\nint err_one(void);\n#endif\n",
    "src/base/err.c": "#include \"base/err.h\"\n\nint err_one(void)\n{\n    return 1;\n}\n",
    "include/wire/kafka.h": "#ifndef WIRE_KAFKA_H\n#define WIRE_KAFKA_H\nint kafka_one(void);\n#endif\n",
    "src/wire/kafka.c": "#include \"wire/kafka.h\"\n\n#include <librdkafka/rdkafka.h>\n#include \"base/err.h\"\n",
    "include/wire/json.h": "#ifndef WIRE_JSON_H\n#define WIRE_JSON_H\n#include <json-c/json.h>\n#endif\n",
    "src/wire/json.c": "#include \"wire/json.h\"\n",
    "src/wire/redis.c": "#include <hiredis/hiredis.h>\n",
    "src/wire/redis_stream.c": "#include <openssl/ssl.h>\n",
    "src/wire/http.c": "#include <curl/curl.h>\n",
    "src/wire/httpd.c": "#include <microhttpd.h>\n",
    "src/wire/yaml.c": "#include <yaml.h>\n",
    "src/wire/crypto.c": "#include <openssl/hmac.h>\n#include <openssl/evp.h>\n",
    "include/fleet/lane.h": "#ifndef FLEET_LANE_H\n#define FLEET_LANE_H\n#include \"wire/kafka.h\"\n#endif\n",
    "src/fleet/lane.c": "#include \"fleet/lane.h\"\n",
    "consumer/main.c": "#include \"fleet/lane.h\"\n\nint main(void)\n{\n    return 0;\n}\n",
}
NO_FAULT_RULES = ["rooms", "circles", "doors", "banned", "sizes", "twins", "guards", "paths", "compose"]

COMPOSE = """x-app: &app
  restart: unless-stopped
  healthcheck:
    test: ["CMD", "true"]
services:
  redis:
    restart: unless-stopped
    healthcheck: {test: ["CMD", "true"]}
  topics:
    restart: "no"
  consumer:
    <<: *app
    stop_grace_period: 45s
volumes:
  data: {}
"""
SLUICE = "kafka:\n  topic: t\nstop: {drain: 10s, grace: 25s}  # bounded\nhttp: {}\n"

# rule, what is broken: file and its new text (None: removed)
BROKEN = [
    ("rooms", {"src/base/err.c": '#include "base/err.h"\n#include "wire/kafka.h"\n'}),
    ("rooms", {"include/wire/kafka.h": "#ifndef WIRE_KAFKA_H\n#define WIRE_KAFKA_H\n#include \"fleet/lane.h\"\n#endif\n"}),
    ("rooms", {"src/kube/client.c": '#include "event/event.h"\n', "include/event/event.h": ""}),
    ("rooms", {"src/attic/old.c": "int x;\n"}),
    ("rooms", {"src/base/err.c": '#include "base/err.h"\n#include "main.h"\n#include "../../consumer/run.h"\n',
               "consumer/run.h": ""}),
    ("circles", {"include/base/err.h": '#include "base/log.h"\n', "include/base/log.h": '#include "base/err.h"\n'}),
    ("doors", {"src/fleet/lane.c": '#include "fleet/lane.h"\n#include <curl/curl.h>\n'}),
    ("doors", {"src/wire/yaml.c": "int x;\n"}),
    ("doors", {"src/fleet/lane.c": '#include "fleet/lane.h"\n#include <json-c/json.h>\n'}),
    ("banned", {"src/base/err.c": '#include "base/err.h"\nvoid f(char *a) { strcpy(a, "x"); }\n'}),
    ("banned", {"consumer/main.c": "int main(void)\n{\n    return sleep (1);\n}\n"}),
    ("banned", {"tests/unit/test_x.c": "void f(void) { usleep(1); }\n"}),
    ("sizes", {"src/base/err.c": "\n" * 601}),
    ("sizes", {"src/base/err.c": "int f(void)\n{\n" + "    ;\n" * 69 + "}\n"}),
    ("twins", {"src/base/err.c": None}),
    ("twins", {"src/fleet/lane.c": '#include "base/err.h"\n#include "fleet/lane.h"\n'}),
    ("guards", {"include/base/err.h": "int err_one(void);\n"}),
    ("paths", {"README.md": "see /wor" + "k/main\n"}),
    ("compose", {"compose/compose.yaml": COMPOSE.replace("45s", "27s")}),
    ("compose", {"compose/compose.yaml": COMPOSE.replace("    stop_grace_period: 45s\n", "")}),
    ("compose", {"compose/compose.yaml": COMPOSE, "compose/sluice.yaml": SLUICE.replace("25s", "1m")}),
    ("compose", {"compose/compose.yaml": COMPOSE, "compose/sluice.yaml": "stop:\n  drain: 10s\n  grace: 44s\n"}),
    ("compose", {"compose/compose.yaml": COMPOSE.replace('    healthcheck: {test: ["CMD", "true"]}\n', "")}),
    ("compose", {"compose/compose.yaml": COMPOSE.replace('  healthcheck:\n    test: ["CMD", "true"]\n', "")}),
    ("format", {"src/base/err.c": '#include "base/err.h"\n\nint err_one(void) { return 1; }\n'}),
    ("tidy", {"src/base/err.c": '#include "base/err.h"\n\nint err_one(void)\n{\n    int *p = 0;\n    return *p;\n}\n'}),
]

# what must not be taken for a fault
ALLOWED = [
    {"src/base/err.c": '#include "base/err.h"\n/* strcpy(a, b) */\nconst char *s = "sleep(1)";\nint ctx_sleep(int);\n'},
    {"src/base/err.c": "int f(void)\n{\n" + "    ;\n" * 68 + "}\n#include \"base/err.h\"\n"},
    {"src/target/target.c": '#include "event/event.h"\n', "src/event/event.c": '#include "event/event.h"\n',
     "include/event/event.h": "#ifndef EVENT_H\n#define EVENT_H\n#endif\n"},
    {"compose/compose.yaml": COMPOSE, "compose/sluice.yaml": SLUICE},
    {"compose/compose.yaml": COMPOSE.replace("45s", "1m"), "compose/sluice.yaml": "stop:\n  grace: 40s\nx:\n  grace: 9h\n"},
    {"compose/compose.yaml": COMPOSE, "compose/sluice.yaml": "stop: {drain: 10s}\nx:\n  grace: 9h\n"},
]


def lay(root, files):
    for name, text in files.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if text is None:
            os.unlink(path)
        else:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)


def judge(source, changes, rules):
    with tempfile.TemporaryDirectory() as root:
        subprocess.run(["git", "init", "-q", root], check=True)
        lay(root, {**GOOD, **{n: t for n, t in changes.items() if t is not None}})
        lay(root, {n: None for n, t in changes.items() if t is None})
        for name in (".clang-format", ".clang-tidy"):
            shutil.copy(os.path.join(source, name), root)
        tree = lint.Tree(root)
        return [fault for rule in rules for fault in lint.RULES[rule](tree)]


def run(source):
    failed = 0
    for changes in [{}] + ALLOWED:
        for fault in judge(source, changes, NO_FAULT_RULES):
            print(f"lint self-test: found a fault where there is none: {fault}")
            failed += 1
    cases = [c for c in BROKEN if c[0] != "format" or lint.major_of("clang-format") == lint.CLANG_FORMAT_MAJOR]
    for rule, changes in cases:
        faults = judge(source, changes, [rule])
        if not any(fault[0] in changes or rule in ("doors", "twins") for fault in faults):
            print(f"lint self-test: rule '{rule}' did not see {list(changes)} broken")
            failed += 1
    print(f"lint self-test: {len(cases) + 1 + len(ALLOWED)} cases, {failed} failed")
    return 1 if failed else 0
