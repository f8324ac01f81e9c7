"""What can go wrong on the way to the world, where a receipt cannot say it."""


class SinksError(Exception):
    """The base of this package's errors: catch it to catch them all."""


class SecretError(SinksError):
    """A secret cannot be used; the message never repeats it."""


class ForbiddenAddressError(SinksError, OSError):
    """A webhook would connect to an address that it must not. An OSError, as a failed connect is."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"{address} is {reason}, not allowed for this endpoint")
        self.address = address
        self.reason = reason


class ProduceError(SinksError):
    """A record is not known to be in its topic."""

    def __init__(self, message: str, *, is_final: bool) -> None:
        super().__init__(message)
        self.is_final = is_final  # the same record will never be taken
