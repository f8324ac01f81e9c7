"""The partition of a customer is Kafka's, so that a gateway and any Kafka producer agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner.default import murmur2 as kafka_murmur2

from processors.partition import astray, murmur2, partition_of

# org.apache.kafka.common.utils.UtilsTest.testMurmur2
KAFKAS_OWN = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize("data", KAFKAS_OWN)
def test_the_hash_is_that_of_kafkas_own_tests(data: bytes) -> None:
    """Another hash would put one customer's events into two shards after a move to Kafka."""
    assert murmur2(data) == KAFKAS_OWN[data] % 2**32


@given(st.binary(max_size=40))
def test_the_hash_is_that_of_another_implementation(data: bytes) -> None:
    """Lengths that are no multiple of four take a path of their own."""
    assert murmur2(data) == kafka_murmur2(data) % 2**32


@given(st.text(max_size=40), st.integers(1, 1_024))
def test_the_partition_is_one_that_there_is(customer_id: str, partitions: int) -> None:
    """Half of all hashes are negative in Java, and their remainder would be too."""
    partition = partition_of(customer_id, partitions)

    assert 0 <= partition < partitions
    assert partition == (kafka_murmur2(customer_id.encode()) & 0x7FFFFFFF) % partitions


@given(st.lists(st.text(max_size=8)), st.integers(1, 16))
def test_each_customer_is_at_home_in_one_partition(
    customer_ids: list[str], partitions: int
) -> None:
    """Two homes would make two profiles of one customer; none would lose the customer."""
    homes = [astray(customer_ids, number, partitions) for number in range(partitions)]

    for each in customer_ids:
        assert sum(each not in found for found in homes) == 1
