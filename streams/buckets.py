"""The buckets of histograms: what the metrics count under, in seconds and records.

Not here  The metrics (metrics.py).
"""

from typing import Final

# From a quarter of a millisecond, which an idle engine reaches, to the minute of a bad failover.
LATENCY_SECONDS: Final = (
    *(0.000_25, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.008, 0.012, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
COMMIT_SECONDS: Final = (
    *(0.000_1, 0.000_25, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0),
)
REQUEST_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
BATCH_RECORDS: Final = (1, 2, 4, 8, 16, 64, 256, 1024, 4096, 8192)
# A timer is looked at within 20 ms where nothing else is to be done; an outage makes it hours.
LATENESS_SECONDS: Final = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 600.0, 3_600.0),
)
