"""A door in front of a broker that breaks connections at a chosen request."""
import socket
import struct
import threading

SASL_HANDSHAKE = 17


class Gate:
    """Forwards to a port of this machine; the first `times` connections end, unanswered, at the first request `api`.
    Only the way to the first broker leads through it: clients then go where the broker says it is."""

    def __init__(self, port, api, times):
        self.target, self.api, self.times, self.broken = port, api, times, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return  # stopped
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            with client, socket.create_connection(("127.0.0.1", self.target)) as broker:
                while request := self._frame(client):
                    if struct.unpack_from(">h", request, 4)[0] == self.api and self.broken < self.times:
                        self.broken += 1
                        return
                    broker.sendall(request)
                    client.sendall(self._frame(broker))
        except OSError:
            pass  # one of the two has gone

    @staticmethod
    def _frame(s):
        """One length-prefixed message, b"" at the end."""
        data = b""
        while len(data) < 4 or len(data) < 4 + struct.unpack_from(">i", data)[0]:
            part = s.recv(4 if len(data) < 4 else 4 + struct.unpack_from(">i", data)[0] - len(data))
            if not part:
                return b""
            data += part
        return data

    def stop(self):
        self.listener.close()
