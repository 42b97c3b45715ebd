"""Counts what reaches the fake providers, so that a test can prove how often something was really called."""

import hashlib
from collections import Counter

MAX_TOKENS = 10_000


class Stats:
    """`operations` names each provider's counters, so that one never called reads as 0."""

    def __init__(self, operations: dict[str, tuple[str, ...]]) -> None:
        self._operations = operations
        self._counts: dict[str, Counter[str]] = {}
        self._tokens: dict[str, dict[str, None]] = {}
        self.clear()

    def count(self, provider: str, operation: str) -> None:
        self._counts[provider][operation] += 1

    def access_token_presented(self, provider: str, token: str) -> None:
        seen = self._tokens[provider]
        if len(seen) < MAX_TOKENS:
            seen[hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()] = None

    def clear(self) -> None:
        self._counts = {name: Counter(dict.fromkeys(known, 0)) for name, known in self._operations.items()}
        self._tokens = {name: {} for name in self._operations}

    def report(self) -> dict[str, object]:
        every: dict[str, None] = {}
        answer: dict[str, object] = {}
        for provider, counts in self._counts.items():
            answer[provider] = {**counts, "access_tokens_sha256": list(self._tokens[provider])}
            every |= self._tokens[provider]
        answer["access_tokens_sha256"] = list(every)
        return answer
