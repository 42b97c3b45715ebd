"""docs/providers.md shows what works: its examples load, and it names every key and quirk there is."""

import re
from pathlib import Path
from textwrap import dedent

import pytest
from keybearer.providers import catalogue
from keybearer.providers.document import ProviderFileError
from keybearer.providers.model import QUIRKS
from keybearer.providers.policy import decide

PAGE = (Path(__file__).parents[2] / "docs" / "providers.md").read_text(encoding="utf-8")
EXAMPLES = [dedent(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
KEYS = set(re.findall(r"`([a-z0-9_]+)`", " ".join(re.findall(r"(?m)^\| ((?:`[a-z0-9_]+`(?:, )?)+) \|", PAGE))))


def example(marker: str) -> str:
    return next(text for text in EXAMPLES if marker in text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("google", example("googleusercontent")),
        ("spotify", example("callback_path")),
        ("acme", example("id.acme.example")),
        ("acme", example("id.acme.example") + example("orders.read")),
        ("weather", example("X-Api-Key")),
        ("tracker", example("auth: basic")),
        ("github", example("payroll")),
    ],
)
def test_the_examples_work(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / f"{name}.yaml").write_text(text)
    (tmp_path / f"{name}.secret").write_text("secret")

    assert catalogue.load(tmp_path)[name].configured


def test_the_override_does_what_its_comment_says(tmp_path: Path) -> None:
    (tmp_path / "github.yaml").write_text(example("payroll"))

    github = catalogue.load(tmp_path)["github"]

    assert decide(github, "GET", b"/repos/acme/payroll/contents/x", None).effect == "deny"
    assert decide(github, "PUT", b"/repos/acme/shop/pulls/1/merge", ["repo"]).effect == "allow"
    assert decide(github, "DELETE", b"/repos/acme/shop", None).effect == "deny"


def test_the_tables_name_every_key_and_quirk(tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_text("{title: A, colour: red}")
    with pytest.raises(ProviderFileError) as refusal:
        catalogue.load(tmp_path)
    known = set(refusal.value.problem.partition("use one of: ")[2].split(", "))

    assert known - {"generic"} | {"extends", "client_secret_file"} | set(QUIRKS) == KEYS
