"""A bad line between a device and the server: bytes pass untouched until it is cut, or come slowly. With a PROXY header it is a TCP load balancer.

As a program (python3 -I): proxy.py PORT BYTES prints its own port and cuts everything after BYTES towards the client; tools/demo uses it so.
"""

import signal
import socket
import sys
import threading
import time


class Proxy:
    """cut_after: bytes towards the client before every connection is cut. rate: bytes a second towards the client. opening: what a connection to the
    server begins with, by a function of the client's address. source: the address that the server sees."""

    def __init__(self, target_port, cut_after=None, rate=None, opening=None, source=None):
        self.opening, self.source = opening, source
        self.target_port = target_port
        self.cut_after = cut_after
        self.rate = rate
        self.down = 0  # bytes that reached the client
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = set()
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, address = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port), source_address=(self.source, 0) if self.source else None)
                if self.opening:
                    server.sendall(self.opening(address))
            except OSError:
                client.close()
                continue
            with self.lock:
                self.open |= {client, server}
            threading.Thread(target=self._pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, True), daemon=True).start()

    def _pump(self, source, sink, towards_client):
        try:
            while True:
                data = source.recv(16384 if not self.rate else max(1, min(16384, self.rate // 10)))
                if not data:
                    break
                if towards_client:
                    if self.cut_after is not None and self.down + len(data) > self.cut_after:
                        data = data[: max(0, self.cut_after - self.down)]
                        sink.sendall(data)
                        self.down += len(data)
                        self.cut()
                        return
                    self.down += len(data)
                sink.sendall(data)
                if towards_client and self.rate:
                    time.sleep(len(data) / self.rate)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        """Ends every connection now."""
        with self.lock:
            ends, self.open = self.open, set()
        for end in ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def close(self):
        self.listener.close()
        self.cut()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


if __name__ == "__main__":
    line = Proxy(int(sys.argv[1]), cut_after=int(sys.argv[2]))
    print(line.port, flush=True)
    signal.pause()
