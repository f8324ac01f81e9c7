"""What stands between producers and a real broker, and answers for it at a chosen moment.

Promise   The first produce request does not reach the broker. It is answered with "not the leader", as a
          broker does that does not know of a new partition yet, as soon as the second is there; which is
          passed on first, like all else.
How       Frames of Kafka's protocol (length, then header); what is no produce request is passed on as bytes.
Limits    One topic with one partition; produce requests of versions 9 to 12, whose answers are alike.
"""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

PRODUCE = 0
NOT_LEADER = 6
HEADER = struct.Struct(">hhi")  # api, version, correlation
LENGTH = struct.Struct(">i")
CHUNK = 1 << 16


@dataclass
class Interposer:
    """Listens on `port`, and speaks to the broker at `broker_port`."""

    broker_port: int
    topic: str
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    withheld: threading.Event = field(default_factory=threading.Event)
    """The first produce request is here."""

    @property
    def port(self) -> int:
        found: int = self.listener.getsockname()[1]
        return found

    def serve(self) -> None:
        """Take connections until the listener is closed, and wait until all of them have ended."""
        served = []
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:  # closed
                break
            served.append(threading.Thread(target=self._serve, args=(client,)))
            served[-1].start()
        for each in served:
            each.join()

    def _serve(self, client: socket.socket) -> None:
        try:
            broker = socket.create_connection(("127.0.0.1", self.broker_port))
        except ConnectionRefusedError:  # it is starting
            client.close()
            return
        with client, broker:
            replies = threading.Thread(target=_pass_on, args=(broker, client))
            replies.start()
            with suppress(OSError), client.makefile("rb") as stream:
                self._requests(stream.read, client, broker)
            with suppress(OSError):  # the broker may have gone before
                broker.shutdown(socket.SHUT_RDWR)
            replies.join()

    def _requests(
        self, read: Callable[[int], bytes], client: socket.socket, broker: socket.socket
    ) -> None:
        first: bytes | None = None
        while frame := _frame(read):
            is_produce = HEADER.unpack_from(frame, LENGTH.size)[0] == PRODUCE
            if is_produce and not self.withheld.is_set():
                first = frame
                self.withheld.set()
                continue
            broker.sendall(frame)
            if is_produce and first is not None:
                client.sendall(self._refusal(first))
                first = None

    def _refusal(self, request: bytes) -> bytes:
        _, version, correlation = HEADER.unpack_from(request, LENGTH.size)
        assert 9 <= version <= 12, f"answers to version {version} look otherwise"
        name = self.topic.encode()
        nothing = struct.pack(">qqqBBB", -1, -1, -1, 1, 0, 0)  # offsets, errors, message, tags
        partition = struct.pack(">ih", 0, NOT_LEADER) + nothing
        topics = bytes([2, len(name) + 1]) + name + b"\x02" + partition + b"\x00"
        body = struct.pack(">iB", correlation, 0) + topics + struct.pack(">iB", 0, 0)
        return LENGTH.pack(len(body)) + body


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    """Pass on what comes until one side has gone, and then let the other know."""
    with suppress(OSError):
        while data := source.recv(CHUNK):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


def _frame(read: Callable[[int], bytes]) -> bytes:
    """The next frame with its length; nothing at the end."""
    head = read(LENGTH.size)
    if len(head) < LENGTH.size:
        return b""
    return head + read(LENGTH.unpack(head)[0])


@contextmanager
def interposed(broker_port: int, topic: str) -> Iterator[Interposer]:
    """Stands there as long as the block lasts."""
    interposer = Interposer(broker_port, topic)
    serving = threading.Thread(target=interposer.serve)
    serving.start()
    try:
        yield interposer
    finally:
        interposer.listener.shutdown(socket.SHUT_RDWR)
        interposer.listener.close()
        serving.join()
