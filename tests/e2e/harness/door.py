"""A port that greets with TLS and a certificate that is over, and answers nothing."""
import shutil
import socket
import ssl
import threading

from .secrets import Secrets


class TlsDoor:
    """Like the broker's port, had nobody renewed its certificate. authority: whose Secrets sign it."""

    def __init__(self, authority, folder):
        secrets = Secrets(folder)
        for name in ("ca.crt", "ca.key"):
            shutil.copy(authority.path(name), secrets.path(name))
        secrets.expire("kafka")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(secrets.path("kafka.pem"))
        self.greeted = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return  # stopped
            self.greeted += 1
            threading.Thread(target=self._greet, args=(client,), daemon=True).start()

    def _greet(self, client):
        try:
            with self.context.wrap_socket(client, server_side=True) as s:
                s.recv(1)
        except OSError:
            pass  # the client wanted none of it

    def stop(self):
        self.listener.close()
