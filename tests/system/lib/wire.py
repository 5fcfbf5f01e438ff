"""HTTP over TLS by hand: exact bytes out, exact bytes in, and connections that a test can hold open, stall or resume."""

import select
import socket
import ssl
import time

TIMEOUT = 20.0


class Closed(Exception):
    """The peer closed or reset the connection where a reply was expected; .received holds what had come."""

    def __init__(self, received=b"", cause=None):
        super().__init__(f"closed after {len(received)} bytes{f' ({cause})' if cause else ''}: {received[:200]!r}")
        self.received = received
        self.cause = cause


class Reply:
    def __init__(self, status, reason, headers, body=b"", head=b""):
        self.status = status
        self.reason = reason
        self.headers = headers  # [(name, value)] in the order sent
        self.body = body
        self.head = head

    def header(self, name):
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return values[0] if values else None

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def json(self):
        import json

        return json.loads(self.body)

    @property
    def problem(self):
        """The last part of the problem's type: "not-found"."""
        assert (self.header("Content-Type") or "").startswith("application/problem+json"), f"{self.status} is no problem: {self.body[:300]!r}"
        return self.json["type"].rsplit(":", 1)[-1]

    def __repr__(self):
        return f"<{self.status} {self.reason} {self.body[:300]!r}>"


def context(ca, cert=None, key=None, version=None, password=None):
    """A client context. version: "1.2" or "1.3" to allow only that one."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(ca)
    if cert:
        made.load_cert_chain(cert, key, password)
    if version:
        made.minimum_version = made.maximum_version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
    return made


class Connection:
    def __init__(self, port, tls, session=None, source=None, host="127.0.0.1", name="localhost", timeout=TIMEOUT, early=b""):
        self.buffer = b""
        plain = socket.create_connection((host, port), timeout=timeout, source_address=(source, 0) if source else None)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.raw = plain.dup()  # the socket below TLS, for what only the kernel knows; wrapping takes the other one
        try:
            self.socket = tls.wrap_socket(plain, server_hostname=name, session=session, suppress_ragged_eofs=False)
        except BaseException:
            self.raw.close()
            plain.close()
            raise
        if early:
            self.send(early)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for each in (self.socket, self.raw):
            try:
                each.close()
            except OSError:
                pass

    def send(self, data):
        self.socket.sendall(data)

    def receive(self, size=65536):
        """Some bytes, b"" at the end of the stream (also a reset, which is how a refused client often sees it)."""
        try:
            return self.socket.recv(size)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionResetError, BrokenPipeError):
            return b""

    def receive_all(self, timeout=TIMEOUT):
        """Everything until the peer closes."""
        deadline = time.monotonic() + timeout
        data, self.buffer = self.buffer, b""
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"still open after {timeout} s; received {data[:200]!r}")
            self.socket.settimeout(left)
            try:
                piece = self.receive()
            except ssl.SSLError as error:
                raise Closed(data, error) from error
            if not piece:
                return data
            data += piece

    def seconds_until_closed(self, timeout):
        """How long the peer keeps the connection open, in seconds; raises TimeoutError. Bytes that come are thrown away."""
        begin = time.monotonic()
        try:
            self.receive_all(timeout)
        except Closed:
            pass
        return time.monotonic() - begin

    def is_open(self, wait=0.0):
        poll = select.poll()
        poll.register(self.raw, select.POLLIN)
        if not poll.poll(wait * 1000) and not self.socket.pending():
            return True
        self.socket.settimeout(1)
        try:
            piece = self.receive()
        except (TimeoutError, ssl.SSLWantReadError):
            return True
        except (ssl.SSLError, OSError):
            return False
        self.buffer += piece
        return bool(piece)

    def _fill(self, have):
        try:
            piece = self.receive()
        except ssl.SSLError as error:
            raise Closed(have, error) from error
        if not piece:
            raise Closed(have)
        return piece

    def read_head(self):
        while b"\r\n\r\n" not in self.buffer:
            if len(self.buffer) > 65536:
                raise AssertionError(f"endless head: {self.buffer[:200]!r}")
            self.buffer += self._fill(self.buffer)
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        version, status, reason = (lines[0].split(" ", 2) + [""])[:3]
        assert version == "HTTP/1.1", f"status line {lines[0]!r}"
        headers = []
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            assert colon and name and name == name.strip(), f"header line {line!r}"
            headers.append((name, value.strip()))
        return Reply(int(status), reason, headers, head=head)

    def read_body(self, reply, method="GET"):
        if method == "HEAD" or reply.status in (204, 304) or reply.status < 200:
            return reply
        if (reply.header("Transfer-Encoding") or "").lower() == "chunked":
            reply.body = self._chunks()
            return reply
        length = reply.header("Content-Length")
        assert length is not None, f"neither Content-Length nor chunks: {reply.head!r}"
        while len(self.buffer) < int(length):
            self.buffer += self._fill(self.buffer)
        reply.body, self.buffer = self.buffer[: int(length)], self.buffer[int(length) :]
        return reply

    def _line(self):
        while b"\r\n" not in self.buffer:
            self.buffer += self._fill(self.buffer)
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def _chunks(self):
        body = b""
        while True:
            size = int(self._line().split(b";")[0], 16)
            while len(self.buffer) < size + 2:
                self.buffer += self._fill(self.buffer)
            body, self.buffer = body + self.buffer[:size], self.buffer[size + 2 :]
            if size == 0:
                return body

    def read_reply(self, method="GET"):
        reply = self.read_head()
        while reply.status == 100:
            reply = self.read_head()
        return self.read_body(reply, method)


def head_bytes(method, path, headers, host="localhost"):
    lines = [f"{method} {path} HTTP/1.1"]
    if not any(name.lower() == "host" for name, _ in headers):
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Client:
    """One identity on one listener, with a kept-alive connection; every reply goes past the contract."""

    def __init__(self, port, tls, contract, headers=(), source=None):
        self._port = port  # a number, or a function: a server that is started again has another one
        self.tls = tls
        self.contract = contract
        self.headers = list(headers)
        self.source = source
        self.connection = None

    @property
    def port(self):
        return self._port() if callable(self._port) else self._port

    def connect(self, **options):
        options.setdefault("source", self.source)
        return Connection(self.port, self.tls, **options)

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def request(self, method, path, body=None, headers=(), connection=None, defaults=True):
        import json

        fields = [(n, v) for n, v in self.headers if defaults and n.lower() not in {h.lower() for h, _ in headers}] + list(headers)
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            if not any(n.lower() == "content-type" for n, _ in fields):
                fields.append(("Content-Type", "application/json"))
        names = {n.lower() for n, _ in fields}
        if (body is not None or method in ("POST", "PUT", "PATCH")) and not names & {"content-length", "transfer-encoding"}:
            fields.append(("Content-Length", str(len(body or b""))))
        data = head_bytes(method, path, [(n, v) for n, v in fields if v is not None]) + (body or b"")
        reply = self._exchange(method, data, connection)
        self.contract.check(method, path, reply)
        return reply

    def _exchange(self, method, data, connection):
        if connection:
            connection.send(data)
            return connection.read_reply(method)
        for attempt in (1, 2):
            fresh = self.connection is None
            if fresh:
                self.connection = self.connect()
            try:
                self.connection.send(data)
                reply = self.connection.read_reply(method)
                break
            except (Closed, OSError):
                self.close()
                if fresh or attempt == 2:  # a kept-alive connection may have been closed between two requests: once more on a new one
                    raise
        if (reply.header("Connection") or "").lower() == "close":
            self.close()
        return reply

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def head(self, path, **options):
        return self.request("HEAD", path, **options)

    def post(self, path, body=None, **options):
        return self.request("POST", path, body, **options)

    def put(self, path, body=None, **options):
        return self.request("PUT", path, body, **options)

    def patch(self, path, body=None, **options):
        return self.request("PATCH", path, body, **options)

    def delete(self, path, **options):
        return self.request("DELETE", path, **options)
