#!/usr/bin/env python3
"""CD systems that are none: each scene of cd_answers.py on a port of its own, answering as the real one does.

    cd.py [--list] [SCENE ...]      all scenes, unless some are named

Prints one line of JSON: {"control": ADDRESS, "scenes": {SCENE: ADDRESS}}. The control address speaks HTTP:
    GET  /requests    [{scene, method, path, query, headers, body, status, refused}, ...] in order of arrival
    POST /wait        {"scene": S, "calls": N} answers when this scene was called so often (no scene: all together)
    POST /answers     {SCENE: [[status, headers, document], ...]} from now on, beginning with the first
"""
import argparse
import asyncio
import json

from cd_answers import SCENES, Request, how_it_goes
from http_door import Control, Http, listen, run, until_told


class Book:
    def __init__(self):
        self.rows, self.changed = [], asyncio.Event()

    def calls(self, scene):
        return sum(scene in (None, row["scene"]) for row in self.rows)

    async def wait(self, calls, scene=None):
        while self.calls(scene) < calls:
            await self.changed.wait()
        return self.calls(scene)

    def add(self, row):
        self.rows.append(row)
        self.changed.set()
        self.changed = asyncio.Event()


class Scene:
    def __init__(self, name, book):
        self.name, self.book = name, book
        self.kind, self.answers = SCENES[name]
        self.given = 0

    def answer(self, request):
        if request.method == "GET":
            return how_it_goes(request, self.kind), False
        refused = request.refused(self.kind)
        if refused:
            return refused, True
        answer = self.answers[min(self.given, len(self.answers) - 1)]
        self.given += 1
        status, headers, document = answer() if callable(answer) else answer
        return (status, {k: v.replace("HOST", request.headers["host"]) for k, v in headers.items()}, document), False


class Door(Http):
    def __init__(self, scene):
        super().__init__()
        self.scene = scene

    def serve(self, method, target, headers, body):
        request = Request(method, target, headers, body)
        answer, refused = self.scene.answer(request)
        self.scene.book.add({"scene": self.scene.name, "method": method, "path": request.path, "query": request.query,
                             "headers": headers, "body": body.decode("utf-8", "replace"), "status": answer[0],
                             "refused": refused})
        self.answer(*answer)


async def obey(scenes, book, path, query, order):
    if path == "/requests":
        return book.rows
    if path == "/wait":
        return await book.wait(**order)
    if path == "/answers":
        for name, answers in order.items():
            scenes[name].answers, scenes[name].given = answers, 0
        return {"ok": True}
    raise KeyError(path)


async def main(names):
    book, doors = Book(), {}
    scenes = {name: Scene(name, book) for name in names}
    for name, scene in scenes.items():
        _, doors[name] = await listen("127.0.0.1:0", lambda scene=scene: Door(scene))
    _, control = await listen("127.0.0.1:0", lambda: Control(lambda *order: obey(scenes, book, *order)))
    print(json.dumps({"control": control, "scenes": doors}), flush=True)
    await until_told()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("scenes", nargs="*")
    chosen = parser.parse_args()
    if chosen.list:
        print("\n".join(f"{name:20} {kind}" for name, (kind, _) in SCENES.items()))
    else:
        run(main(chosen.scenes or list(SCENES)))
