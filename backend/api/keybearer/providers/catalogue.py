"""Which providers this installation has: the built-in entries, and what its PROVIDERS_DIR adds or overrides.

    catalogue = load(Path("/etc/keybearer/providers"))     # or load(None): built-in entries alone
    catalogue.find("spotify")                               # Provider | None

In the directory, `<name>.yaml` is one provider. If `name` is built in, or `extends: <built-in>` is there, its
keys are laid over that entry: mappings key by key, anything else replaced, `null` removes. The client secret
is read from `client_secret_file` (relative to the YAML), by default from `<name>.secret` beside it; it never
enters the database. Secrets are read once; call `load` again to pick up a change.
"""

from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from keybearer.providers.document import ProviderFileError
from keybearer.providers.model import ClientSecret, Provider
from keybearer.providers.reading import read_provider

_ABOUT_ONE_ENTRY = frozenset({"icon", "sources", "title", "unverified"})


class Catalogue(Mapping[str, Provider]):
    """Providers by name, in alphabetical order."""

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        self._providers = dict(sorted(providers.items()))

    def find(self, name: str) -> Provider | None:
        return self._providers.get(name)

    def __getitem__(self, name: str) -> Provider:
        return self._providers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._providers)

    def __len__(self) -> int:
        return len(self._providers)


def load(providers_dir: Path | None) -> Catalogue:
    """ProviderFileError names the file and key if anything there is not understood."""
    built_in = _built_in()
    providers = {name: read_provider(name, values, f"catalogue/{name}.yaml") for name, values in built_in.items()}
    for path in _installed(providers_dir):
        providers[path.stem] = _read_installed(path, built_in)
    _refuse_shared_callbacks(providers)
    return Catalogue(providers)


def _built_in() -> dict[str, dict[str, Any]]:
    folder = resources.files("keybearer.providers") / "catalogue"
    return {
        entry.name.removesuffix(".yaml"): _parse(entry.read_text("utf-8"), f"catalogue/{entry.name}")
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    }


def _installed(providers_dir: Path | None) -> list[Path]:
    if providers_dir is None:
        return []
    if not providers_dir.is_dir():
        raise ProviderFileError(str(providers_dir), "", "not a folder; create it or correct KEYBEARER_PROVIDERS_DIR")
    if wrong := sorted(providers_dir.glob("*.yml")):
        raise ProviderFileError(str(wrong[0]), "", "rename it to end in .yaml")
    return sorted(path for path in providers_dir.glob("*.yaml") if not path.name.startswith("."))


def _read_installed(path: Path, built_in: Mapping[str, dict[str, Any]]) -> Provider:
    name, file = path.stem, str(path)
    try:
        values = _parse(path.read_text("utf-8"), file)
    except (OSError, UnicodeDecodeError) as error:
        raise ProviderFileError(file, "", "cannot be read; make it UTF-8 text that Keybearer may open") from error
    secret = _client_secret(path, values.pop("client_secret_file", None))
    extends = values.pop("extends", name if name in built_in else None)
    if extends is None:
        return read_provider(name, values, file, secret)
    if not isinstance(extends, str) or extends not in built_in:
        raise ProviderFileError(file, "extends", f"not a built-in entry; use one of: {', '.join(sorted(built_in))}")
    below = dict(built_in[extends])
    below.pop("generic", None)
    if extends != name:
        below = {key: value for key, value in below.items() if key not in _ABOUT_ONE_ENTRY}
        below["title"] = name.replace("-", " ").title()
    return read_provider(name, _laid_over(below, values), file, secret)


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _laid_over(merged[key], value)
        else:
            merged[key] = value
    return merged


def _client_secret(path: Path, named: object) -> ClientSecret | None:
    if named is not None and not (isinstance(named, str) and named):
        raise ProviderFileError(str(path), "client_secret_file", "write a file's name, relative to this file")
    secret_file = path.with_suffix(".secret") if named is None else path.parent / str(named)
    if named is None and not secret_file.exists():
        return None
    try:
        value = secret_file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ProviderFileError(
            str(path),
            "client_secret_file",
            f"{secret_file} cannot be read; create it with the client secret alone",
        ) from error
    if not value or not value.isprintable():
        raise ProviderFileError(
            str(path), "client_secret_file", f"{secret_file} must hold the client secret alone, on one line"
        )
    return ClientSecret(value)


def _refuse_shared_callbacks(providers: Mapping[str, Provider]) -> None:
    owners: dict[str, str] = {}
    for name, provider in providers.items():
        if (other := owners.setdefault(provider.callback, name)) != name:
            raise ProviderFileError(
                f"{name}.yaml", "callback_path", f"{other} has the same one; choose another for either"
            )


class _StrictLoader(yaml.CSafeLoader):
    """The safe loader keeps the last of two equal keys silently; a policy must not lose a rule that way."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key that is no text", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, "the same key twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _parse(text: str, file: str) -> dict[str, Any]:
    try:
        values = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - a SafeLoader, only stricter
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ProviderFileError(file, line, f"not valid YAML ({error.problem}); correct it") from error
    except yaml.YAMLError as error:
        raise ProviderFileError(file, "", "not valid YAML; correct it") from error
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ProviderFileError(file, "", "write a mapping: one `key: value` a line")
    return values
