"""The proxy that loses, delays and breaks for the experiments: it does what it says, and counts it."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import hiredis
import pytest

from tests.faults.proxy import FaultProxy, Faults, fault_proxy

PATIENCE_SECONDS = 10.0
SILENCE_SECONDS = 0.05
REQUEST = hiredis.pack_command(("INCR", "count"))  # type: ignore[arg-type]  # hiredis' stub allows one word only


class Counting:
    """Speaks enough of Redis to count INCR; anything else is answered OK. Tells when a client is done."""

    def __init__(self) -> None:
        self.count = 0
        self.ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(client,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        reader = hiredis.Reader()
        with client, suppress(OSError):
            while data := client.recv(1 << 16):
                reader.feed(data)
                while (request := reader.gets()) is not False:
                    is_count = request[0] == b"INCR"
                    self.count += is_count
                    client.sendall(b":%d\r\n" % self.count if is_count else b"+OK\r\n")
        self.ended.set()


@pytest.fixture
def server() -> Iterator[Counting]:
    made = Counting()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def proxy(server: Counting) -> Iterator[FaultProxy]:
    with fault_proxy(server.port, seed=3, redis=True) as made:
        yield made


@contextmanager
def connected(proxy: FaultProxy) -> Iterator[socket.socket]:
    assert isinstance(proxy.address, int)
    with socket.create_connection(("127.0.0.1", proxy.address), PATIENCE_SECONDS) as made:
        yield made


def ask(client: socket.socket, request: bytes = REQUEST) -> bytes:
    client.sendall(request)
    return client.recv(1 << 16)


def increments(proxy: FaultProxy, count: int) -> list[bool]:
    """One connection each; whether it was answered."""
    answered = []
    for _ in range(count):
        with connected(proxy) as client:
            try:
                answered.append(ask(client) != b"")
            except ConnectionResetError:
                answered.append(False)
    return answered


def test_without_faults_everything_passes_and_so_does_the_end(
    proxy: FaultProxy, server: Counting
) -> None:
    """A proxy that changes anything by itself would be found in every experiment."""
    with connected(proxy) as client:
        assert ask(client) == b":1\r\n"
        client.shutdown(socket.SHUT_WR)
        assert server.ended.wait(PATIENCE_SECONDS)
        assert client.recv(1) == b""

    assert proxy.counts == {"connections": 1, "requests": 1, "replies": 1}


def test_a_lost_reply_belongs_to_a_request_that_was_carried_out(
    proxy: FaultProxy, server: Counting
) -> None:
    """This is the whole point: the client cannot know, and the server has done it."""
    proxy.set(Faults(lose={b"INCR": 1.0}))
    with connected(proxy) as client:
        assert ask(client, hiredis.pack_command(("PING",))) == b"+OK\r\n"
        with pytest.raises(ConnectionResetError):
            ask(client)

    assert (server.count, proxy.counts["lost"]) == (1, 1)


def test_the_reply_of_a_command_in_the_middle_of_many_is_lost_with_all_that_follow(
    proxy: FaultProxy, server: Counting
) -> None:
    """A commit is sent as several commands in one write, and in pieces when it is large."""
    proxy.set(Faults(lose={b"EXEC": 1.0}))
    value = b"v" * (1 << 20)
    words = [(b"MULTI",), (b"MSET", b"key", value), (b"EXEC",), (b"INCR", b"count")]
    with connected(proxy) as client:
        client.sendall(b"".join(hiredis.pack_command(each) for each in words))  # type: ignore[arg-type]  # as above
        received: list[bytes] = []
        with pytest.raises(ConnectionResetError):
            received.extend(iter(lambda: client.recv(100), b""))

    assert b"".join(received) in {b"", b"+OK\r\n", b"+OK\r\n+OK\r\n"}
    assert proxy.counts["lost"] == 1


def test_the_same_seed_loses_the_same_replies(server: Counting) -> None:
    """A failing experiment is tried again with its seed."""
    patterns = []
    for seed in (5, 5, 6):
        with fault_proxy(server.port, seed=seed, redis=True) as proxy:
            proxy.set(Faults(lose={b"INCR": 0.3}))
            patterns.append(increments(proxy, 40))
            assert proxy.counts["lost"] == patterns[-1].count(False)

    assert patterns[0] == patterns[1] != patterns[2]
    assert 3 < patterns[0].count(False) < 25
    assert server.count == 120


@pytest.mark.parametrize(
    ("faults", "name"),
    [(Faults(reset=1.0), "reset"), (Faults(half_close=1.0), "half_closed")],
    ids=["reset", "half-closed"],
)
def test_a_reply_is_lost_after_the_request_was_carried_out(
    proxy: FaultProxy, server: Counting, faults: Faults, name: str
) -> None:
    """For whom the proxy does not understand, HTTP for one."""
    proxy.set(faults)

    assert increments(proxy, 3) == [False] * 3
    assert (server.count, proxy.counts[name]) == (3, 3)


def test_all_connections_are_reset_at_once(proxy: FaultProxy) -> None:
    """A load balancer was started anew."""
    with connected(proxy) as first, connected(proxy) as second:
        ask(first)
        ask(second)
        assert proxy.reset_all() == 2
        for each in (first, second):
            with pytest.raises(ConnectionResetError):
                each.recv(1)

    assert increments(proxy, 1) == [True]
    assert proxy.counts["reset"] == 2


def test_a_half_closed_connection_still_carries_requests(
    proxy: FaultProxy, server: Counting
) -> None:
    """The end is an end for the client, although its writes succeed."""
    with connected(proxy) as client:
        ask(client)
        assert proxy.half_close_all() == 1
        assert client.recv(1) == b""
        client.sendall(REQUEST)
        client.shutdown(socket.SHUT_WR)
        assert server.ended.wait(PATIENCE_SECONDS)

    assert server.count == 2


def test_nothing_passes_while_it_is_silent_and_everything_afterwards(
    proxy: FaultProxy, server: Counting
) -> None:
    """What a broken switch does: connected, and no word."""
    with connected(proxy) as client:
        ask(client)
        proxy.set(Faults(silent=True))
        client.sendall(REQUEST)
        client.settimeout(SILENCE_SECONDS)
        with pytest.raises(TimeoutError):
            client.recv(1)
        assert server.count == 1
        with connected(proxy) as another:
            another.sendall(REQUEST)
            proxy.set(Faults())
            assert another.recv(100) in {b":2\r\n", b":3\r\n"}
        client.settimeout(PATIENCE_SECONDS)
        assert client.recv(100) in {b":2\r\n", b":3\r\n"}

    assert proxy.counts["held"] == 1


class Steps:
    """A sleep that ends when the test says so."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._go = threading.Semaphore(0)

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        await asyncio.to_thread(self._go.acquire)

    def go(self) -> None:
        self._go.release()


@contextmanager
def stepped(server: Counting, faults: Faults) -> Iterator[tuple[FaultProxy, Steps]]:
    steps = Steps()
    proxy = FaultProxy(server.port, sleep=steps)
    proxy.start()
    try:
        proxy.set(faults)
        yield proxy, steps
    finally:
        proxy.stop()


def test_replies_are_cut_in_slices(server: Counting) -> None:
    """Who takes a piece for the whole reads garbage."""
    with (
        stepped(server, Faults(slice_bytes=3, slice_ms=20)) as (proxy, steps),
        connected(proxy) as client,
    ):
        pieces = [ask(client)]
        while len(b"".join(pieces)) < len(b":1\r\n"):
            steps.go()
            pieces.append(client.recv(100))
        steps.go()

    assert pieces == [b":1\r", b"\n"]
    assert (steps.asked, proxy.counts["slices"]) == ([0.02, 0.02], 2)


def test_replies_are_delayed(server: Counting) -> None:
    """By the clock that was handed in."""
    with stepped(server, Faults(delay_ms=250)) as (proxy, steps), connected(proxy) as client:
        steps.go()
        assert ask(client) == b":1\r\n"

    assert (steps.asked, proxy.counts["delayed"]) == ([0.25], 1)


def test_a_server_that_is_away_is_told_as_a_reset(server: Counting) -> None:
    """The proxy outlives its server, which may come back."""
    gone = Counting()
    gone.close()
    with fault_proxy(gone.port) as proxy:
        assert increments(proxy, 1) == [False]
        proxy.target = server.port

        assert increments(proxy, 1) == [True]
        assert proxy.counts["refused"] == 1


def test_a_unix_socket_has_its_proxy_beside_it(tmp_path: Path) -> None:
    """Redis in tests listens on one."""
    path = tmp_path / "server.sock"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(str(path))
        listener.listen()
        with fault_proxy(path, listen=tmp_path / "proxy.sock") as proxy:
            client.connect(str(proxy.address))
            served, _ = listener.accept()
            with served:
                client.sendall(b"asked")
                assert served.recv(100) == b"asked"
                served.sendall(b"answered")
                assert client.recv(100) == b"answered"
                assert proxy.reset_all() == 1
                assert client.recv(100) == b""

    assert not (tmp_path / "proxy.sock").exists()
