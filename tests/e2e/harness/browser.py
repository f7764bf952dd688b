"""Headless Chromium, driven through playwright-core: a development dependency that is fetched once into the build folder."""
import json
import os
import shutil
import subprocess

from .proc import Failure, Skip

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.join(os.path.dirname(os.path.dirname(HERE)), "browser")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def fetch(build):
    """The library's folder; fetched when it is not there or the version is another."""
    folder = os.path.join(build, "browser")
    wanted = os.path.join(TESTS, "package.json")
    have = os.path.join(folder, "package.json")
    library = os.path.join(folder, "node_modules", "playwright-core")
    with open(wanted, encoding="utf-8") as file:
        text = file.read()
    if os.path.isdir(library) and os.path.exists(have):
        with open(have, encoding="utf-8") as file:
            if file.read() == text:
                return library
    os.makedirs(folder, exist_ok=True)
    shutil.copyfile(wanted, have)
    out = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=folder, capture_output=True, text=True,
                         timeout=120)
    if out.returncode != 0:
        os.unlink(have)
        raise Skip(f"playwright-core cannot be fetched: {(out.stderr or out.stdout).strip()[-200:]}")
    return library


class Browser:
    def __init__(self, build):
        chromium = next((path for path in map(shutil.which, CHROMIUM) if path), None)
        for what, there in (("chromium", chromium), ("node", shutil.which("node")), ("npm", shutil.which("npm"))):
            if not there:
                raise Skip(f"{what} is not installed (apt-get install chromium nodejs npm)")
        library = os.path.join(os.path.abspath(fetch(build)), "index.mjs")
        self.child = subprocess.Popen(["node", os.path.join(TESTS, "drive.mjs"), library, chromium], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)

    def order(self, what, **more):
        self.child.stdin.write(json.dumps({"do": what, **more}) + "\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line:
            raise Failure("the browser is gone")
        answer = json.loads(line)
        if "error" in answer:
            raise Failure(f"browser: {what} {more}: {answer['error']}")
        return answer["ok"]

    def stop(self):
        self.child.stdin.close()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
