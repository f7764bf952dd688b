"""The stand-in for a Kubernetes API as scenarios see it."""
import json
import os
import sys
import urllib.request

from .proc import Child, Failure, wait_for

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kube_api.py")
SLEEP = "hibernator.devtron.ai/replicas"


def deployment(name, ns="prod", group="apis/apps/v1", plural="deployments"):
    """The path of one."""
    return f"/{group}/namespaces/{ns}/{plural}/{name}"


class KubeApi:
    """options: of kube_api.py, without the dashes. `kubeconfig` is what a client needs."""

    def __init__(self, folder, **options):
        os.makedirs(folder, exist_ok=True)
        words = [w for k, v in options.items() for w in ([f"--{k}"] if v is True else [f"--{k}", str(v)])]
        self.folder, self.words = folder, words
        self.start()

    def start(self, **more):
        words = [w for k, v in more.items() for w in (f"--{k}", str(v))]
        log = os.path.join(self.folder, "kube-api.log")
        if os.path.exists(log):
            os.remove(log)
        self.child = Child("kube-api", [sys.executable, PROGRAM, "--folder", self.folder, *self.words, *words], log)
        said = wait_for(lambda: self.child.log().count("\n") and self.child.log().split(), 20, "the API's ports",
                        pause_s=0.01, alive=[self.child])
        self.address, self.control, self.kubeconfig = said[1], said[3], said[5]

    def ask(self, path, document=None, timeout_s=30):
        body = None if document is None else json.dumps(document).encode()
        try:
            with urllib.request.urlopen(f"http://{self.control}{path}", body, timeout_s) as answer:
                return json.load(answer)
        except TimeoutError:
            raise Failure(f"the cluster did not see {document} within {timeout_s} s, but {self.counts()}") from None

    def rules(self, *rules):
        self.ask("/rules", list(rules))

    def counts(self):
        return self.ask("/counts")

    def requests(self):
        """[method, path, status, cluster, arrived_ns, answered_ns] of each."""
        return self.ask("/requests")

    def object(self, path):
        return self.ask(f"/object?path={path}")

    def apply(self, *objects):
        self.ask("/objects", list(objects))

    def change(self, path, merge):
        """As another writer does."""
        self.ask("/change", {"path": path, "merge": merge})

    def wait(self, timeout_s=20, **what):
        """of, calls, open, left: see kube_api.py."""
        return self.ask("/wait", what, timeout_s)

    def reset(self):
        self.ask("/reset", {})

    def stop(self):
        self.child.thaw()
        self.child.term()
        self.child.wait(10)
