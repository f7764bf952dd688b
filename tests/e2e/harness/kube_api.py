#!/usr/bin/env python3
"""A Kubernetes API that is not Kubernetes: answers like one, counts what it was asked, and misbehaves as told.

    kube_api.py [--listen 127.0.0.1:0] [--tls] [--delay 50ms] [--objects 100] [--asleep 3] [--folder DIR] ...

Prints "data ADDRESS control ADDRESS kubeconfig FILE". The kubeconfig's contexts: `token` (the current one), `cert` (a
client certificate, --tls only), `bad-token`, `nobody` (no credentials), `wrong-ca` (--tls only). One address stands for
many clusters: below /clusters/NAME/ the same API is served again, and rules and counts tell them apart.

--objects N makes the Deployments app-0..app-N-1 in the namespaces ns-0..ns-M-1 (--namespaces M, N unless said), each
with the label app.kubernetes.io/instance=app-I; --asleep R puts them to sleep with R replicas remembered.

The control address speaks HTTP:
    GET  /counts             {total, discovery, get, list, patch, health, other, open, open_max, left, connections}
    GET  /requests           [[method, path with query, status, cluster, arrived_ns, answered_ns], ...]
    GET  /object?path=P      the object of an API path
    POST /rules              [RULE, ...]   the first that fits decides; none fits: the API's own answer
    POST /objects            [OBJECT, ...] made or replaced, as another writer would
    POST /change             {"path": P, "merge": PATCH}   likewise, one
    POST /wait               {"of": "patch", "calls": N, "open": M, "left": L} answers when there were so many
    POST /reset              {}            counts and requests begin anew
    POST /expire             {}            continue tokens given so far are too old
RULE: what fits, then what happens
    cluster, method, of (discovery, get, list, patch, health), path (a part of it), skip (so many first), times (so often)
    status, message, headers {}, retry_after (seconds), plain (text, no Status), body (text instead of all that),
    delay_ms (beside the general one, also of an answer that is the API's own),
    act: hang (never answers) | reset | close | before {"path": P, "merge": PATCH} (another writer is quicker)
"""
import argparse
import asyncio
import base64
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # it is a program, and a module for machinery.py
import kube_store  # noqa: E402
from http_door import Control, Http, listen, run, until_told  # noqa: E402
from kube_store import Store, status  # noqa: E402

TOKEN = "stand-in-token"
KINDS = ("discovery", "get", "list", "patch", "health", "other")


class Book:
    """What was asked, and who waits to hear of it."""

    def __init__(self):
        self.changed = asyncio.Event()
        self.open = self.connections = 0
        self.reset()

    def reset(self):
        self.rows, self.counts, self.left, self.open_max = [], dict.fromkeys(KINDS, 0), 0, self.open

    def told(self):
        self.changed.set()
        self.changed = asyncio.Event()

    def summary(self):
        return {"total": sum(self.counts.values()), **self.counts, "open": self.open, "open_max": self.open_max,
                "left": self.left, "connections": self.connections}

    async def wait(self, of="total", calls=0, open=0, left=0):
        while self.summary()[of] < calls or self.open < open or self.left < left:
            await self.changed.wait()
        return self.summary()


class Api:
    """store, rules and book; what an answer is, but not how it travels."""

    def __init__(self, store, delay_ms):
        self.store, self.delay_ms, self.rules, self.book = store, delay_ms, [], Book()

    def rule(self, cluster, method, of, path):
        for rule in self.rules:
            if (rule.get("cluster", cluster) != cluster or rule.get("method", method) != method
                    or rule.get("of", of) != of or rule.get("path", "") not in path):
                continue
            if rule.get("skip", 0) > 0:
                rule["skip"] -= 1
            elif "times" not in rule:
                return rule
            elif rule["times"] > 0:
                rule["times"] -= 1
                return rule
        return {}

    def kind_of_request(self, method, path):
        if path in ("/livez", "/readyz", "/healthz", "/version"):
            return "health"
        if self.store.discovery(path):
            return "discovery"
        found = self.store.find(path)
        if method == "GET" and found:
            return "get" if found[2] else "list"
        return "patch" if method == "PATCH" else "other"

    def own_answer(self, method, path, query, headers, body):
        if path in ("/livez", "/readyz", "/healthz"):
            return 200, {}, "ok"
        if path == "/version":
            return 200, {}, {"major": "1", "minor": "36", "gitVersion": "v1.36.0"}
        document = self.store.discovery(path)
        if document:
            return 200, {}, document
        found = self.store.find(path)
        if not found:
            return kube_store.NOT_SERVED
        kind, ns, name = found
        if method == "GET":
            return self.store.get(kind, ns, name) if name else self.store.list(kind, ns, query)
        if method == "PATCH" and name:
            return self.store.patch(kind, ns, name, headers.get("content-type", ""), body)
        if method == "DELETE" and name:
            return self.store.delete(kind, ns, name)
        if method == "POST" and not name:
            obj = dict(json.loads(body), apiVersion=kind.api, kind=kind.kind)
            if kind.namespaced:
                obj["metadata"]["namespace"] = ns
            return 201, {}, self.store.put(obj)
        return status(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")

    @staticmethod
    def ruled_answer(rule, path):
        headers = dict(rule.get("headers", {}))
        if "retry_after" in rule:
            headers["Retry-After"] = str(rule["retry_after"])
        if "body" in rule:
            return rule.get("status", 200), headers, rule["body"]
        code = rule["status"]
        message = rule.get("message") or {
            401: "Unauthorized", 429: "Too many requests, please try again later.",
            403: f'{path} is forbidden: User "tester" cannot do this here'}.get(code, f"the stand-in says {code}")
        if rule.get("plain"):
            return code, headers, message + "\n"
        details = {"retryAfterSeconds": rule["retry_after"]} if "retry_after" in rule else {}
        return status(code, kube_store.REASONS.get(code, "InternalError"), message, details, headers)

    def change(self, path, merge):
        """As another writer would, without a resourceVersion."""
        found = self.store.find(path)
        self.store.patch(*found, kube_store.MERGE, json.dumps(merge))


class Data(Http):
    """One connection of a client."""

    def __init__(self, api, secured):
        super().__init__()
        self.api, self.secured, self.row, self.later = api, secured, None, None

    def connection_made(self, transport):
        super().connection_made(transport)
        self.api.book.connections += 1
        self.api.book.told()

    def connection_lost(self, exc):
        super().connection_lost(exc)
        if self.row:  # it did not wait for the answer
            self.api.book.left += 1
            self.close_row(0)
        if self.later:
            self.later.cancel()

    def close_row(self, code):
        self.row[2], self.row[5] = code, time.monotonic_ns()
        self.row, self.api.book.open = None, self.api.book.open - 1
        self.api.book.told()

    def allowed(self, of, headers):
        said = headers.get("authorization")
        if said is None and of == "health":
            return True  # as Kubernetes lets anybody read it, but not one with a wrong token
        if said is not None:  # a wrong token is refused, whatever the certificate
            basic = base64.b64encode(f"tester:{TOKEN}".encode()).decode()
            return said in (f"Bearer {TOKEN}", f"Basic {basic}")
        return bool(self.secured and self.transport.get_extra_info("peercert"))

    def serve(self, method, target, headers, body):
        url = urllib.parse.urlsplit(target)
        path, cluster, book = urllib.parse.unquote(url.path), "", self.api.book
        if path.startswith("/clusters/"):
            _, _, cluster, path = path.split("/", 3)
            path = "/" + path
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        of = self.api.kind_of_request(method, path)
        book.counts[of] += 1
        self.row = [method, target, 0, cluster, time.monotonic_ns(), 0]
        book.rows.append(self.row)
        book.open += 1
        book.open_max = max(book.open_max, book.open)
        book.told()
        rule, loop = self.api.rule(cluster, method, of, path), asyncio.get_running_loop()
        wait_ms = self.api.delay_ms + rule.get("delay_ms", 0)
        arguments = (rule, method, path, query, headers, body)
        if wait_ms and rule.get("act") != "hang":
            self.later = loop.call_later(wait_ms / 1000, self.act, *arguments)
        else:
            self.act(*arguments)

    def act(self, rule, method, path, query, headers, body):
        act = rule.get("act")
        if act == "hang":
            return
        if act in ("reset", "close"):
            self.close_row(act)
            self.transport.abort() if act == "reset" else self.transport.close()
            return
        if act == "before":
            self.api.change(rule["before"]["path"], rule["before"]["merge"])
        if "status" in rule or "body" in rule:
            answer = self.api.ruled_answer(rule, path)
        elif not self.allowed(self.api.kind_of_request(method, path), headers):
            answer = status(401, "Unauthorized", "Unauthorized")
        else:
            answer = self.api.own_answer(method, path, query, headers, body)
            if method in ("PATCH", "POST") and answer[0] < 300:
                self.settle(answer[2])
        self.close_row(answer[0])
        self.answer(*answer)

    def settle(self, obj):
        after = self.api.store.settle_ms
        if after is not None:
            asyncio.get_running_loop().call_later(after / 1000, self.api.store.follow, obj)


async def obey(api, path, query, order):
    if path == "/counts":
        return api.book.summary()
    if path == "/requests":
        return api.book.rows
    if path == "/object":
        return api.store.get(*api.store.find(query["path"]))[2]
    if path == "/wait":
        return await api.book.wait(**order)
    if path == "/rules":
        api.rules = order
    elif path == "/objects":
        for obj in order:
            api.store.put(obj)
    elif path == "/change":
        api.change(order["path"], order["merge"])
    elif path == "/reset":
        api.book.reset()
    elif path == "/expire":
        api.store.expired_before = api.store.version + 1
    else:
        raise KeyError(path)
    return {"ok": True}


# --- certificates and the file that tells a client of them ---

def openssl(*arguments, cwd):
    subprocess.run(["openssl", *arguments], cwd=cwd, check=True, capture_output=True)


def make_certificates(folder):
    """An authority, the server's certificate and a client's; and another authority that signed nothing."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    for name in ("ca", "other-ca"):
        openssl("req", "-x509", *key, "-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN=stand-in {name}",
                cwd=folder)
    for name, subject, extra in (("server", "/CN=kubernetes", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
                                 ("client", "/O=system:masters/CN=tester", "extendedKeyUsage=clientAuth")):
        openssl("req", *key[:-2], "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject, cwd=folder)
        with open(os.path.join(folder, f"{name}.ext"), "w", encoding="ascii") as f:
            f.write(extra + "\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days",
                "30", "-extfile", f"{name}.ext", "-out", f"{name}.crt", cwd=folder)


def data_of(folder, name):
    with open(os.path.join(folder, name), "rb") as f:
        return base64.b64encode(f.read()).decode()


def kubeconfig(server, folder):
    """JSON is YAML too. folder: of the certificates, None without TLS."""
    trust = {"certificate-authority-data": data_of(folder, "ca.crt")} if folder else {}
    clusters, users = {"stand-in": {"server": server, **trust}}, {
        "token": {"token": TOKEN}, "bad-token": {"token": "no-such-token"}, "nobody": {},
        "basic": {"username": "tester", "password": TOKEN}}
    contexts = {u: ("stand-in", u) for u in users}
    if folder:
        users["cert"] = {"client-certificate-data": data_of(folder, "client.crt"),
                         "client-key-data": data_of(folder, "client.key")}
        clusters["wrong-ca"] = {"server": server, "certificate-authority-data": data_of(folder, "other-ca.crt")}
        contexts.update({"cert": ("stand-in", "cert"), "wrong-ca": ("wrong-ca", "token")})
    return {"apiVersion": "v1", "kind": "Config", "current-context": "token",
            "clusters": [{"name": n, "cluster": c} for n, c in clusters.items()],
            "users": [{"name": n, "user": u} for n, u in users.items()],
            "contexts": [{"name": n, "context": {"cluster": c, "user": u}} for n, (c, u) in contexts.items()]}


# --- the program ---

def milliseconds(text):
    for unit, factor in (("ms", 1), ("s", 1000)):
        if text.endswith(unit):
            return float(text[:-len(unit)]) * factor
    return float(text)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--listen", default="127.0.0.1:0")
    parser.add_argument("--control", default="127.0.0.1:0")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--delay", type=milliseconds, default=0, help="of every answer: 50ms, 1s")
    parser.add_argument("--settle", type=milliseconds, default=0, help="until a workload's status follows its spec")
    parser.add_argument("--objects", type=int, default=0)
    parser.add_argument("--namespaces", type=int, default=0)
    parser.add_argument("--asleep", type=int, help="with so many replicas remembered")
    parser.add_argument("--folder", default="", help="for kubeconfig and certificates; a new one in $TMPDIR unless said")
    return parser.parse_args()


async def main(options):
    api = Api(Store(options.settle), options.delay)
    many = options.namespaces or max(1, options.objects)
    for i in range(many if options.objects else 0):
        api.store.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"ns-{i}"}})
    for i in range(options.objects):
        api.store.put(kube_store.workload(f"app-{i}", f"ns-{i % many}", slept=options.asleep))
    context = None
    if options.tls:
        make_certificates(options.folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*(os.path.join(options.folder, f"server.{e}") for e in ("crt", "key")))
        context.load_verify_locations(os.path.join(options.folder, "ca.crt"))
        context.verify_mode = ssl.CERT_OPTIONAL
    data, address = await listen(options.listen, lambda: Data(api, bool(context)), context)
    control, steering = await listen(options.control, lambda: Control(lambda *order: obey(api, *order)))
    path = os.path.join(options.folder, "kubeconfig")
    with open(path, "w", encoding="ascii") as f:
        json.dump(kubeconfig(f"{'https' if context else 'http'}://{address}", options.folder if context else None), f, indent=1)
    print("data", address, "control", steering, "kubeconfig", path, flush=True)
    await until_told()


if __name__ == "__main__":
    chosen = arguments()
    if not chosen.folder:
        chosen.folder = tempfile.mkdtemp(prefix="kube-api-")
    os.makedirs(chosen.folder, exist_ok=True)
    run(main(chosen))
