"""A free TCP port on the loopback interface."""

import socket


def free_port() -> int:
    """A port that was free a moment ago; another process may take it before its server does."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
