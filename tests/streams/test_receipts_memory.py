"""The fake store of receipts keeps the promises of the real one."""

from collections.abc import Sequence

import pytest

from rules.action import Action
from streams.receipts_memory import MemoryReceipts
from tests.contracts.receipts import KEPT_MAX, ReceiptsContract, Store


class MemoryStore:
    def __init__(self) -> None:
        self.receipts = MemoryReceipts(kept_max=KEPT_MAX)

    async def own(self, number: int, nonce: str) -> None:
        self.receipts.shards[number].nonce = nonce

    async def commit(self, number: int, sequence: int, actions: Sequence[Action]) -> None:
        self.receipts.shards[number].outbox[sequence] = list(actions)


class TestMemoryReceipts(ReceiptsContract):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()
