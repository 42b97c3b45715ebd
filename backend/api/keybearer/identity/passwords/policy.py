"""Which new passwords are refused (NIST SP 800-63B-4, OWASP ASVS 5): short, known to thieves, or easy to guess.

Character classes and a maximum age make passwords worse, so both are off unless an installation must have them.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

LONGEST = 256
# zxcvbn's cost grows with the square of the length, and what is judged to be good by then is good.
_JUDGED = 72
# zxcvbn's: at least 10^8 guesses. Eight random characters are 10^8, so beside a factor 10^6 must do.
_LEAST_SCORE, _LEAST_SCORE_WITH_FACTOR = 3, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """`minimum` counts characters. `history` is how many passwords before the present one may not come again."""

    minimum: int = 15
    minimum_with_factor: int = 8
    classes: int = 0
    history: int = 0
    maximum_age: timedelta | None = None

    def least(self, *, has_factor: bool) -> int:
        return min(self.minimum, self.minimum_with_factor) if has_factor else self.minimum

    def formal_reasons(self, password: str, *, has_factor: bool) -> list[str]:
        """Why the policy refuses it, as far as its form tells."""
        reasons = []
        if len(password) < self.least(has_factor=has_factor):
            reasons.append("too_short")
        if len(password) > LONGEST:
            reasons.append("too_long")
        if _classes(password) < self.classes:
            reasons.append("too_few_classes")
        return reasons


class Strength:
    """Looks passwords up in the lists that zxcvbn carries, offline. Loaded at first use: most processes need none."""

    @cached_property
    def _leaked(self) -> frozenset[str]:
        from zxcvbn.frequency_lists import FREQUENCY_LISTS

        return frozenset(FREQUENCY_LISTS["passwords"])

    def reasons(self, password: str, words: Sequence[str], has_factor: bool = False) -> list[str]:
        """`words` are what an attacker tries first: the person's name and address. Takes up to 50 ms."""
        if password.lower() in self._leaked:
            return ["breached"]
        from zxcvbn import zxcvbn

        judged = zxcvbn(password[:_JUDGED], user_inputs=[word for word in words if word])
        least = _LEAST_SCORE_WITH_FACTOR if has_factor else _LEAST_SCORE
        return ["guessable"] if judged["score"] < least else []


def normal(password: str) -> str:
    """The same on every keyboard: an accent typed as one character or as two (NFKC, as SP 800-63B has it)."""
    return unicodedata.normalize("NFKC", password)


def _classes(password: str) -> int:
    """Of four: small letters, capitals, digits, anything else."""
    kinds = (str.islower, str.isupper, str.isdigit, lambda each: not each.isalnum())
    return sum(any(kind(each) for each in password) for kind in kinds)
