"""The HTTP side of programs that stand in for others: small, quick, exact to a fraction of a millisecond."""
import asyncio
import json
import selectors
import signal
import urllib.parse

BODY_MAX = 4 << 20


class Http(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, one request at a time; `serve(method, target, headers, body)` answers by answer()."""

    def __init__(self):
        self.buffer, self.transport, self.busy = b"", None, False

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, exc):
        self.transport = None

    def data_received(self, data):
        self.buffer += data
        self.next()

    def next(self):
        head, separator, rest = self.buffer.partition(b"\r\n\r\n")
        if self.busy or not separator:
            return
        lines = head.decode("latin-1").split("\r\n")
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines[1:])}
        size = int(headers.get("content-length") or 0)
        if size > BODY_MAX or lines[0].count(" ") != 2:
            self.transport.abort()
            return
        if len(rest) < size:
            if headers.pop("expect", None):
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        self.buffer, self.busy = rest[size:], True
        method, target, _ = lines[0].split(" ")
        self.serve(method, target, headers, rest[:size])

    def answer(self, code, headers, document):
        self.busy = False
        if self.transport is None:
            return
        if code == 204:
            self.transport.write(b"HTTP/1.1 204 X\r\n\r\n")
            self.next()
            return
        text = isinstance(document, str)
        body = document.encode() if text else json.dumps(document, separators=(",", ":")).encode() + b"\n"
        lines = {"Content-Type": "text/plain; charset=utf-8" if text else "application/json", **headers}
        head = "".join(f"{n}: {v}\r\n" for n, v in lines.items())
        self.transport.write(f"HTTP/1.1 {code} X\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self.next()


class Control(Http):
    """Orders: do(path, query, document) is a coroutine that gives the answer."""

    def __init__(self, do):
        super().__init__()
        self.do = do

    def serve(self, method, target, headers, body):
        asyncio.get_running_loop().create_task(self.obey(target, body))

    async def obey(self, target, body):
        url = urllib.parse.urlsplit(target)
        try:
            order = json.loads(body or b"{}")
            self.answer(200, {}, await self.do(url.path, dict(urllib.parse.parse_qsl(url.query)), order))
        except (KeyError, TypeError, ValueError, StopIteration) as e:
            self.answer(400, {}, f"{type(e).__name__}: {e}\n")


async def listen(address, make, context=None):
    host, _, port = address.rpartition(":")
    server = await asyncio.get_running_loop().create_server(make, host, int(port), ssl=context, backlog=1024)
    return server, f"{host}:{server.sockets[0].getsockname()[1]}"


async def until_told():
    """Until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()


def run(main):
    """epoll waits whole milliseconds, which makes 50 ms 51; select does not."""
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(main)
