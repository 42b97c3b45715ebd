"""What a PromQL expression names: metrics, and the labels that it reads of them."""

import re
from dataclasses import dataclass

_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)?\{([^{}]*)\}")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)")
_RANGE = re.compile(r"\[[^\]]*\]|\boffset\s+\w+")
_NAME = re.compile(r"(?<![\w:.$])([a-zA-Z_:][\w:]*)(?!\s*\(|[\w:])")
_WORDS = frozenset({"and", "or", "unless", "bool", "by", "without", "on", "ignoring", "group_left", "group_right"})


@dataclass(frozen=True)
class Named:
    """`matchers`: metric, label and value of each; `groupings`: labels of by, on and the like."""

    metrics: frozenset[str]
    matchers: frozenset[tuple[str, str, str]]
    groupings: frozenset[str]


def named(expression: str) -> Named:
    matchers = {
        (metric, label, value)
        for metric, inside in _SELECTOR.findall(_without_braces_in_texts(expression))
        for label, _, value in _MATCHER.findall(inside)
    }
    bare = re.sub(r"\{[^{}]*\}", "", _TEXT.sub("", expression))
    groupings = {label.strip() for labels in _GROUPING.findall(bare) for label in labels.split(",") if label.strip()}
    bare = _RANGE.sub("", _GROUPING.sub("", bare))
    return Named(frozenset(_NAME.findall(bare)) - _WORDS, frozenset(matchers), frozenset(groupings))


def _without_braces_in_texts(expression: str) -> str:
    return _TEXT.sub(lambda text: text[0].translate({ord("{"): "(", ord("}"): ")"}), expression)


def alternatives(pattern: str) -> list[str]:
    """What a pattern of plain words asks for, such as `a|b`; empty for one that is more than that."""
    return pattern.split("|") if re.fullmatch(r"[\w|-]+", pattern) else []
