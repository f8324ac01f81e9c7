"""What can go wrong between the engine and the world."""


class StreamsError(Exception):
    """The base of this package's errors: catch it to catch them all."""
