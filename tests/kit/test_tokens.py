"""Bearer secrets: the shape that secret scanners know."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keybearer.kit import tokens


@pytest.mark.parametrize("prefix", [tokens.SESSION, tokens.GRANT])
def test_a_new_token_has_the_documented_shape(prefix: str) -> None:
    token = tokens.new(prefix)
    assert re.fullmatch(prefix + "[0-9A-Za-z]{49}", token)
    assert tokens.is_well_formed(token, prefix)
    assert len(tokens.digest(token)) == 32


@given(position=st.integers(4, 52), replacement=st.sampled_from("0aZ9_-é\n"))
def test_a_changed_character_is_noticed(position: int, replacement: str) -> None:
    token = tokens.new(tokens.SESSION)
    changed = token[:position] + replacement + token[position + 1 :]
    assert tokens.is_well_formed(changed, tokens.SESSION) == (changed == token)


@given(st.text(max_size=80))
def test_arbitrary_text_is_not_a_token(text: str) -> None:
    assert not tokens.is_well_formed(text, tokens.SESSION)
