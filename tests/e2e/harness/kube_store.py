"""What the stand-in for a Kubernetes API keeps, and the rules of that API: kinds, selectors, patches, refusals.

No sockets here. An answer is (status, headers, document); a document that is text is sent as it is.
"""
import copy
import json
import time
import uuid

# plural, kind, namespaced. Lists of kinds that are built in leave apiVersion and kind out of their items; those of
# custom resources do not.
BUILT_IN = {
    "v1": [("namespaces", "Namespace", False), ("nodes", "Node", False), ("pods", "Pod", True),
           ("services", "Service", True), ("configmaps", "ConfigMap", True), ("secrets", "Secret", True)],
    "apps/v1": [("deployments", "Deployment", True), ("statefulsets", "StatefulSet", True),
                ("replicasets", "ReplicaSet", True), ("daemonsets", "DaemonSet", True)],
    "batch/v1": [("jobs", "Job", True), ("cronjobs", "CronJob", True)],
    "networking.k8s.io/v1": [("ingresses", "Ingress", True)],
}
CUSTOM = {"argoproj.io/v1alpha1": [("rollouts", "Rollout", True), ("fleets", "Fleet", False)]}
SLEEP = "hibernator.devtron.ai/replicas"
MERGE = "application/merge-patch+json"


def status(code, reason, message, details=None, headers=None):
    """A refusal as the API words it."""
    more = {"details": details} if details else {}
    return code, headers or {}, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                                 "message": message, "reason": reason, **more, "code": code}


REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Expired",
           415: "UnsupportedMediaType", 422: "Invalid", 429: "TooManyRequests", 500: "InternalError",
           503: "ServiceUnavailable", 504: "Timeout"}
NOT_SERVED = (404, {}, "404 page not found\n")


def merge(target, patch):
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def selects(selector, labels):
    """A labelSelector: a=b, a==b, a!=b, a in (b,c), a notin (b,c), a, !a."""
    return all(_requirement(r.strip(), labels) for r in _split(selector)) if selector else True


def _split(selector):
    part, depth = "", 0
    for c in selector:
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            yield part
            part = ""
        else:
            part += c
    yield part


def _requirement(text, labels):
    words = text.replace("(", " (").split(None, 2)
    if len(words) == 3 and words[1] in ("in", "notin"):
        values = [v.strip() for v in words[2].strip("() ").split(",")]
        return (labels.get(words[0]) in values) == (words[1] == "in")
    for sign, wanted in (("!=", False), ("==", True), ("=", True)):
        if sign in text:
            key, value = (p.strip() for p in text.split(sign, 1))
            return (labels.get(key) == value) == wanted
    return text[1:].strip() not in labels if text.startswith("!") else text in labels


class Kind:
    def __init__(self, api, plural, kind, namespaced, custom):
        self.api, self.plural, self.kind, self.namespaced, self.custom = api, plural, kind, namespaced, custom
        self.group = api.split("/")[0] if "/" in api else ""
        self.title = f"{plural}.{self.group}" if self.group else plural
        self.objects = {}  # (namespace, name) -> object, in the order they came

    def missing(self, name):
        return status(404, "NotFound", f'{self.title} "{name}" not found',
                      {"name": name, "group": self.group, "kind": self.plural})


class Store:
    """settle_ms: after how long a workload's status follows its spec; None: never."""

    def __init__(self, settle_ms=0):
        self.settle_ms, self.version, self.expired_before = settle_ms, 100, 0
        self.kinds = {}
        for table, custom in ((BUILT_IN, False), (CUSTOM, True)):
            for api, rows in table.items():
                for plural, kind, namespaced in rows:
                    self.kinds[api, plural] = Kind(api, plural, kind, namespaced, custom)

    # --- discovery ---

    def discovery(self, path):
        """The document of this path, or None."""
        apis = list(dict.fromkeys(api for api, _ in self.kinds))
        parts = path.strip("/").split("/")
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"],
                    "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}]}
        if path == "/apis":
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [self._group(a) for a in apis if "/" in a]}
        if len(parts) == 2 and parts[0] == "apis":
            return next((dict(self._group(a), kind="APIGroup", apiVersion="v1") for a in apis
                         if a.startswith(parts[1] + "/")), None)
        api = "/".join(parts[1:])
        if (parts[0] == "api") == (api == "v1") and api in apis:
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api,
                    "resources": [r for k in self.kinds.values() if k.api == api for r in self._resources(k)]}
        return None

    @staticmethod
    def _group(api):
        name, version = api.split("/")
        return {"name": name, "versions": [{"groupVersion": api, "version": version}],
                "preferredVersion": {"groupVersion": api, "version": version}}

    @staticmethod
    def _resources(k):
        row = {"name": k.plural, "singularName": k.kind.lower(), "namespaced": k.namespaced, "kind": k.kind,
               "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"]}
        yield row
        yield dict(row, name=f"{k.plural}/status", singularName="", verbs=["get", "patch", "update"])

    # --- objects ---

    def find(self, path):
        """(kind, namespace, name) of a path, or None; the namespace is "" for all or none, the name "" for a list."""
        parts = path.strip("/").split("/")
        if parts[0] == "api":
            api, rest = "/".join(parts[1:2]), parts[2:]
        else:
            api, rest = "/".join(parts[1:3]), parts[3:]
        ns = ""
        if len(rest) >= 3 and rest[0] == "namespaces":
            ns, rest = rest[1], rest[2:]
        kind = self.kinds.get((api, rest[0])) if 1 <= len(rest) <= 2 else None
        if kind is None or (ns and not kind.namespaced) or (len(rest) == 2 and kind.namespaced and not ns):
            return None
        return kind, ns, rest[1] if len(rest) == 2 else ""

    def kind_of(self, obj):
        return next(k for k in self.kinds.values() if (k.api, k.kind) == (obj["apiVersion"], obj["kind"]))

    def put(self, obj):
        """A new object, or one in place of the old, whatever its resourceVersion says."""
        kind, meta = self.kind_of(obj), obj.setdefault("metadata", {})
        key = (meta.get("namespace", ""), meta["name"])
        old = kind.objects.get(key)
        meta.setdefault("uid", old["metadata"]["uid"] if old else str(uuid.uuid4()))
        meta.setdefault("creationTimestamp", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        meta["generation"] = old["metadata"]["generation"] + (old.get("spec") != obj.get("spec")) if old else 1
        self.version += 1
        meta["resourceVersion"] = str(self.version)
        kind.objects[key] = obj
        return obj

    def get(self, kind, ns, name):
        obj = kind.objects.get((ns, name))
        return (200, {}, obj) if obj else kind.missing(name)

    def list(self, kind, ns, query):
        """Pages of `limit`, as in the order they came; one too old to go on is 410."""
        rows = [o for (n, _), o in kind.objects.items() if not ns or n == ns]
        rows = [o for o in rows if selects(query.get("labelSelector", ""), o["metadata"].get("labels") or {})]
        for field in filter(None, query.get("fieldSelector", "").split(",")):
            path, _, wanted = field.replace("==", "=").partition("=")
            rows = [o for o in rows if o["metadata"].get(path.replace("metadata.", "")) == wanted]
        first, meta = 0, {"resourceVersion": str(self.version)}
        if query.get("continue"):
            version, first = (int(n) for n in query["continue"].split("."))
            if version < self.expired_before:
                return status(410, "Expired", "The provided continue parameter is too old to display a consistent "
                              "list result. You can start a new list without the continue parameter.")
        limit = int(query.get("limit", 0) or 0)
        page = rows[first:first + limit] if limit else rows[first:]
        if first + len(page) < len(rows):
            meta.update({"continue": f"{self.version}.{first + len(page)}",
                         "remainingItemCount": len(rows) - first - len(page)})
        hidden = () if kind.custom else ("apiVersion", "kind")
        return 200, {}, {"kind": f"{kind.kind}List", "apiVersion": kind.api, "metadata": meta,
                         "items": [{k: v for k, v in o.items() if k not in hidden} for o in page]}

    def patch(self, kind, ns, name, content_type, body):
        old = kind.objects.get((ns, name))
        if old is None:
            return kind.missing(name)
        if content_type.split(";")[0].strip() != MERGE:
            return status(415, "UnsupportedMediaType", "the body of the request was in an unknown format - accepted "
                          f"media types include: application/json-patch+json, {MERGE}, application/apply-patch+yaml")
        try:
            patch = json.loads(body)
        except ValueError:
            patch = None
        if not isinstance(patch, dict):
            return status(400, "BadRequest", "error decoding patch: the body is no JSON object")
        wanted = (patch.get("metadata") or {}).get("resourceVersion")
        if wanted is not None and wanted != old["metadata"]["resourceVersion"]:
            return status(409, "Conflict", f'Operation cannot be fulfilled on {kind.title} "{name}": the object has been '
                          "modified; please apply your changes to the latest version and try again",
                          {"name": name, "group": kind.group, "kind": kind.plural})
        new = merge(copy.deepcopy(old), patch)
        replicas = (new.get("spec") or {}).get("replicas", 0)
        if not isinstance(replicas, int) or replicas < 0:
            return status(422, "Invalid", f'{kind.kind}.{kind.group} "{name}" is invalid: spec.replicas: Invalid value: '
                          f"{json.dumps(replicas)}: must be greater than or equal to 0")
        if new == old:
            return 200, {}, old  # nothing changes, the version neither
        return 200, {}, self.put(new)

    def delete(self, kind, ns, name):
        old = kind.objects.pop((ns, name), None)
        if old is None:
            return kind.missing(name)
        return 200, {}, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": {
            "name": name, "group": kind.group, "kind": kind.plural, "uid": old["metadata"]["uid"]}}

    def follow(self, obj):
        """What a controller would do: the status is what the spec asks for."""
        replicas = obj.get("spec", {}).get("replicas")
        if replicas is None or self.kind_of(obj).objects.get(_key(obj)) is not obj:
            return  # no workload, or changed again meanwhile
        obj["status"] = ready(obj["metadata"]["generation"], replicas)
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)


def _key(obj):
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def ready(generation, replicas):
    counts = {k: replicas for k in ("replicas", "readyReplicas", "updatedReplicas", "availableReplicas") if replicas}
    return {"observedGeneration": generation, **counts,
            "conditions": [{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"},
                           {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]}


def workload(name, ns, replicas=1, slept=None, instance=None, api="apps/v1", kind="Deployment", **more):
    """slept: how many it had when it was put to sleep, which scales it to zero."""
    meta = {"name": name, "namespace": ns, "labels": {"app.kubernetes.io/instance": instance or name},
            "annotations": {"team": "payments"}}
    if slept is not None:
        meta["annotations"][SLEEP], replicas = str(slept), 0
    return merge({"apiVersion": api, "kind": kind, "metadata": meta, "spec": {"replicas": replicas},
                  "status": ready(1, replicas)}, more)
