"""One sluice-consumer under test, asked only over its public doors."""
import os
import urllib.error
import urllib.request

from . import checker
from .config import to_yaml
from .proc import Child, Failure, free_port, wait_for


class Worker(Child):
    """name is also the x-worker header of its calls and its client id in the group."""

    def __init__(self, program, name, config, folder):
        self.port = free_port()
        self.config_path = os.path.join(folder, f"{name}.yaml")
        self.write(to_yaml(config))
        env = {} if "http" in config else {"SLUICE_HTTP_LISTEN": f"127.0.0.1:{self.port}"}
        log, again = os.path.join(folder, f"{name}.log"), 1
        while os.path.exists(log):  # a worker of this name ran before
            again += 1
            log = os.path.join(folder, f"{name}.{again}.log")
        super().__init__(name, [program, "run", "-c", self.config_path], log, env)

    def write(self, text):
        """Its configuration, whole or not at all."""
        with open(self.config_path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(self.config_path + ".new", self.config_path)

    def get(self, path, timeout_s=5):
        """(status, text); (0, reason) when it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=timeout_s) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()
        except OSError as e:
            return 0, str(e)

    def ready(self):
        return self.get("/readyz")[0] == 200

    def wait_ready(self, timeout_s=40):
        wait_for(self.ready, timeout_s, f"{self.name} to be ready", alive=[self])

    def metrics(self):
        status, text = self.get("/metrics")
        if status != 200:
            raise Failure(f"{self.name} gave no metrics: {status} {text[:200]}")
        return checker.parse_metrics(text)

    def verdicts(self, verdict):
        return checker.total(self.metrics(), "sluice_units_total", verdict=verdict)

    def held(self, reason):
        """The targets that have units which began to wait for this."""
        rows = self.metrics().get("sluice_units_held_total", {})
        return {dict(labels)["target"] for labels, count in rows.items() if count > 0 and ("reason", reason) in labels}
