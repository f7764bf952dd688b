"""The API machinery of Kubernetes itself, over etcd, as scenarios see it: the doors of kube.KubeApi, but no counts and
no rules, for it is the original. `make kube-check` builds it."""
import json
import os
import shutil
import ssl
import urllib.error
import urllib.request

from . import kube_api, kube_store
from .proc import Child, Failure, Skip, free_port, wait_for


def program(build):
    """Where it is; Skip when it was not built or etcd is not there."""
    path = os.path.join(build, "kube-api")
    if not os.path.exists(path):
        raise Skip("no build/kube-api: make kube-check builds it, where it can")
    if not shutil.which("etcd"):
        raise Skip("no etcd: apt-get install etcd-server")
    return path


class Machinery:
    """Serves argoproj.io/v1alpha1 Rollout and, without namespaces, Fleet; no controller follows what they ask for."""

    api, kind, plural = "argoproj.io/v1alpha1", "Rollout", "rollouts"

    def __init__(self, build, folder):
        path = program(build)
        os.makedirs(folder, exist_ok=True)
        kube_api.make_certificates(folder)
        client, peer = free_port(), free_port()
        at = f"http://127.0.0.1:{client}"
        self.etcd = Child("etcd", ["etcd", "--data-dir", os.path.join(folder, "etcd"), "--unsafe-no-fsync",
                                   "--listen-client-urls", at, "--advertise-client-urls", at, "--listen-peer-urls",
                                   f"http://127.0.0.1:{peer}"], os.path.join(folder, "etcd.log"))
        self.child = Child("kube-api", [path, "--folder", folder, "--etcd", at], os.path.join(folder, "kube-api.log"))
        said = wait_for(lambda: [line for line in self.child.log().splitlines() if line.startswith("data ")], 60,
                        "the API machinery to serve its kinds", alive=[self.child, self.etcd])
        self.address = said[0].split()[1]
        self.kubeconfig = os.path.join(folder, "kubeconfig")
        with open(self.kubeconfig, "w", encoding="ascii") as f:
            json.dump(kube_api.kubeconfig(f"https://{self.address}", folder), f)
        self.context = ssl.create_default_context(cafile=os.path.join(folder, "ca.crt"))

    def ask(self, method, path, document=None):
        kind = kube_store.MERGE if method == "PATCH" else "application/json"
        request = urllib.request.Request(f"https://{self.address}{path}", method=method, headers={
            "Authorization": f"Bearer {kube_api.TOKEN}", "Content-Type": kind, "Accept": "application/json"},
            data=None if document is None else json.dumps(document).encode())
        try:
            with urllib.request.urlopen(request, timeout=20, context=self.context) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as e:
            raise Failure(f"{method} {path}: {e.code} {e.read().decode()[:300]}") from None

    def path(self, name, ns="prod"):
        return f"/apis/{self.api}/namespaces/{ns}/{self.plural}/{name}"

    def apply(self, *objects):
        """New ones, with the status that they bring."""
        for obj in objects:
            path = self.path(obj["metadata"]["name"], obj["metadata"]["namespace"])
            self.ask("POST", path.rpartition("/")[0], {k: v for k, v in obj.items() if k != "status"})
            self.ask("PATCH", path + "/status", {"status": obj.get("status", {})})

    def object(self, path):
        return self.ask("GET", path)

    def change(self, path, merge):
        """As another writer does."""
        self.ask("PATCH", path, merge)

    def stop(self):
        for child in (self.child, self.etcd):
            child.kill()  # a stop in good order takes seconds, and nothing is kept
