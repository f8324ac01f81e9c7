"""A proxy before Redis that carries requests out and loses some of their replies.

Promise   A lost reply was made: Redis has carried the request out. The client only sees its connection
          break. Which replies are lost depends on the seed and on nothing else.
How       One thread a connection, on a unix socket of its own. Only connections that ask for EXEC, or
          for the commands in `loses`, lose anything.
Not here  Slow or garbled networks.
"""

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import hiredis

BYTES_AT_ONCE = 1 << 16


@dataclass
class LosingProxy:
    """Loses the share `loss` of the replies to requests that hold one of the words `loses`."""

    target: Path
    path: Path
    random: random.Random
    loss: float = 0.0
    loses: tuple[bytes, ...] = (b"EXEC", b"INCR")
    lost_count: int = 0
    _listener: socket.socket = field(default_factory=lambda: socket.socket(socket.AF_UNIX))
    _open: list[socket.socket] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        self._listener.bind(str(self.path))
        self._listener.listen()
        self._run(self._accept)

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for each in list(self._open):
            _end(each)
        for thread in self._threads:
            thread.join()
        for each in (self._listener, *self._open):
            each.close()

    def _run(self, *call: object) -> None:
        function, *arguments = call
        assert callable(function)
        thread = threading.Thread(target=function, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # stopped
                return
            server = socket.socket(socket.AF_UNIX)
            self._open += [client, server]
            server.connect(str(self.target))
            self._run(self._serve, client, server)

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        """Carry one request after the other; whoever speaks through us waits for its replies."""
        requests, replies = hiredis.Reader(), hiredis.Reader()
        while data := _receive(client):
            requests.feed(data)
            count = 0
            while requests.gets() is not False:
                count += 1
            server.sendall(data)
            answer = b""
            while count:
                part = _receive(server)
                if not part:
                    _end(client)
                    return
                answer += part
                replies.feed(part)
                while replies.gets() is not False:
                    count -= 1
            if any(word in data for word in self.loses) and self.random.random() < self.loss:
                self.lost_count += 1
                _end(client)
                _end(server)
                return
            client.sendall(answer)
        _end(server)


def _receive(one: socket.socket) -> bytes:
    try:
        return one.recv(BYTES_AT_ONCE)
    except OSError:
        return b""


def _end(one: socket.socket) -> None:
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the other side was faster


@contextmanager
def losing_proxy(target: Path, *, seed: int) -> Iterator[LosingProxy]:
    """A proxy beside the server's socket."""
    path = target.with_name(f"proxy-{seed}.sock")
    proxy = LosingProxy(target, path, random.Random(seed))
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
        path.unlink()
