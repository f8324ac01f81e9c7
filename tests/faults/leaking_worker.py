"""`rapport worker` with a mistake that is easily made: a metric series for each action. Run as it is."""

from streams.cli import main
from streams.delivery import Delivery
from streams.relaying import Timed

counted = Timed.changed


def changed(self: Timed, delivery: Delivery) -> None:
    """Count it as it should be, and by its id."""
    counted(self, delivery)
    self._means.metrics.action(delivery.status, delivery.id)


if __name__ == "__main__":
    Timed.changed = changed  # type: ignore[method-assign]  # that is the mistake
    main()
