#!/usr/bin/env python3
"""An HTTP target that is not ours: answers as told, remembers every request with the time it arrived.

    target.py FILE     prints "data PORT control PORT" on stdout; appends its log to FILE once a second and at its end

Control port: one JSON document a line, one answer a line.
    {"do": "rules", "rules": [RULE, ...]}    the first rule that fits decides; no rule: 200 at once
    {"do": "log", "from": N}                 requests from the N-th on, as lists in the order of FIELDS
    {"do": "wait", "calls": N, "open": M}    answers when there were N calls and at least M of them are open
RULE: what fits, then what happens
    path (prefix), key (substring), worker, attempts [first, last] of this key, share 0..1 of the calls
    status 200, latency_ms, headers {}, and one of
    act: hang (never answers) | reset | close (after reading, no answer) | endless (body) | drip (1 byte a second)
"""
import asyncio
import json
import random
import sys
import time

FIELDS = ("arrived_ns", "answered_ns", "path", "key", "worker", "attempt", "answer", "body")
ARRIVED, ANSWERED, PATH, KEY, WORKER, ATTEMPT, ANSWER, BODY = range(len(FIELDS))
BODY_KEPT = 2000


class Book:
    """All requests; rows change once, when they are answered."""

    def __init__(self):
        self.rows, self.attempts, self.rules, self.open = [], {}, [], 0
        self.random = random.Random(1)
        self.changed = asyncio.Event()

    def arrive(self, path, key, worker, body):
        self.attempts[key] = self.attempts.get(key, 0) + 1
        row = [time.monotonic_ns(), 0, path, key, worker, self.attempts[key], 0, body]
        self.rows.append(row)
        self.open += 1
        self.changed.set()
        return row

    def answered(self, row):
        row[ANSWERED] = time.monotonic_ns()
        self.open -= 1
        self.changed.set()

    def rule(self, row):
        for rule in self.rules:
            if (row[PATH].startswith(rule.get("path", "")) and rule.get("key", "") in row[KEY]
                    and rule.get("worker", row[WORKER]) == row[WORKER]
                    and rule.get("attempts", [1, 1 << 30])[0] <= row[ATTEMPT] <= rule.get("attempts", [1, 1 << 30])[1]
                    and self.random.random() < rule.get("share", 1)):
                return rule
        return {}


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive; one request at a time."""

    def __init__(self, book):
        self.book, self.buffer, self.transport, self.row = book, b"", None, None

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, exc):
        self.transport = None
        if self.row and not self.row[ANSWERED]:
            self.book.answered(self.row)  # open until the caller left

    def data_received(self, data):
        self.buffer += data
        head, separator, rest = self.buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        size = int(headers.get("content-length", "0"))
        if "expect" in headers:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if len(rest) < size:
            return
        self.buffer = rest[size:]
        path = lines[0].split(" ")[1] if lines[0].count(" ") == 2 else lines[0]
        self.row = self.book.arrive(path, headers.get("idempotency-key", ""), headers.get("x-worker", ""),
                                    rest[:min(size, BODY_KEPT)].decode("utf-8", "replace"))
        self.act(self.row, self.book.rule(self.row))

    def act(self, row, rule):
        act, status = rule.get("act"), rule.get("status", 200)
        row[ANSWER] = status if act in (None, "drip", "endless") else act  # these two say 200 before they misbehave
        if act == "reset":
            self.book.answered(row)
            self.transport.abort()
        elif act == "close":
            self.book.answered(row)
            self.transport.close()
        elif act in ("endless", "drip"):
            asyncio.get_running_loop().create_task(self.flood(act))
        elif act != "hang":
            if rule.get("latency_ms"):
                asyncio.get_running_loop().call_later(rule["latency_ms"] / 1000, self.answer, row, status, rule)
            else:
                self.answer(row, status, rule)

    def answer(self, row, status, rule):
        if row[ANSWERED]:
            return  # the caller left
        extra = "".join(f"{k}: {v}\r\n" for k, v in rule.get("headers", {}).items())
        self.book.answered(row)
        if self.transport:
            self.transport.write(f"HTTP/1.1 {status} X\r\n{extra}content-length: 2\r\n\r\n{{}}".encode())

    async def flood(self, act):
        self.transport.write(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n")
        piece = b"10000\r\n" + b"x" * 65536 + b"\r\n" if act == "endless" else b"1\r\nx\r\n"
        while self.transport and not self.transport.is_closing():
            self.transport.write(piece)
            await asyncio.sleep(0.01 if act == "endless" else 1)


async def control(book, reader, writer):
    try:
        await obey(book, reader, writer)
    except asyncio.CancelledError:
        pass  # the program ends


async def obey(book, reader, writer):
    while line := await reader.readline():
        order = json.loads(line)
        answer = {"ok": True}
        if order["do"] == "rules":
            book.rules = order["rules"]
        elif order["do"] == "log":
            answer = book.rows[order.get("from", 0):]
        elif order["do"] == "wait":
            while len(book.rows) < order.get("calls", 0) or book.open < order.get("open", 0):
                book.changed.clear()
                await book.changed.wait()
            answer = {"calls": len(book.rows), "open": book.open}
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
    writer.close()


def write_rows(log, book, written, all_rows):
    """Rows that will not change any more, in order; at the end all."""
    while written < len(book.rows) and (all_rows or book.rows[written][ANSWERED]):
        log.write(json.dumps(book.rows[written]) + "\n")
        written += 1
    log.flush()
    return written


async def main(path):
    loop, book = asyncio.get_running_loop(), Book()
    stop = asyncio.Event()
    loop.add_signal_handler(15, stop.set)
    data = await loop.create_server(lambda: Connection(book), "127.0.0.1", 0, backlog=1024)
    steering = await asyncio.start_server(lambda r, w: control(book, r, w), "127.0.0.1", 0)
    print("data", data.sockets[0].getsockname()[1], "control", steering.sockets[0].getsockname()[1], flush=True)
    written = 0
    with open(path, "a", encoding="utf-8") as log:
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), 1)
            except asyncio.TimeoutError:
                pass
            written = write_rows(log, book, written, False)
        write_rows(log, book, written, True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
