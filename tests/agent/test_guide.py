"""Every Python example of docs/agents.md is run as it stands there, as a program with nothing but a grant."""

import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "agents.md"
EXAMPLES = dict(re.findall(r"<!-- run: (\w+) -->\n```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL))
SAYS = {
    "client": "Playing Despacito\n",
    "async": "Acting for Alice",
    "refusal": "Not done: This installation's policy for GitHub",
    "spotipy": "Playing Despacito\n",
    "pygithub": "The newest is: Water the plants\n",
}


def test_every_python_example_is_run_here():
    assert GUIDE.read_text("utf-8").count("```python") == len(EXAMPLES)
    assert EXAMPLES.keys() == SAYS.keys()


@pytest.mark.parametrize("name", sorted(SAYS))
async def test_the_example_does_what_it_says(connected, sandbox, name):
    _, grant = await connected.grant("spotify", "github")
    finished = await connected.run("-c", EXAMPLES[name], grant=grant)
    assert (finished.code, finished.err) == (0, "")
    assert SAYS[name] in finished.out
    if name in {"client", "spotipy"}:
        assert sandbox.stats()["spotify"]["play"] == 1
    assert grant not in finished.out
