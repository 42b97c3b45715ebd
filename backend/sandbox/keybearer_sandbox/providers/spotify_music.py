"""The few songs that the fake Spotify knows, and its search over them."""

import hashlib
from dataclasses import dataclass

KINDS = frozenset({"album", "artist", "audiobook", "episode", "playlist", "show", "track"})


@dataclass(frozen=True)
class Track:
    name: str
    artist: str
    album: str
    duration_ms: int

    @property
    def uri(self) -> str:
        return f"spotify:track:{_id(self.name + self.artist)}"

    def as_json(self) -> dict[str, object]:
        return {
            **_thing("track", self.name, _id(self.name + self.artist)),
            "artists": [_thing("artist", self.artist, _id(self.artist))],
            "album": {**_thing("album", self.album, _id(self.album)), "album_type": "album"},
            "duration_ms": self.duration_ms,
            "explicit": False,
            "is_local": False,
            "popularity": 80,
        }


TRACKS = (
    Track("Despacito", "Luis Fonsi", "VIDA", 228_200),
    Track("Despacito - Remix", "Luis Fonsi", "Despacito Feat. Justin Bieber (Remix)", 228_826),
    Track("Bohemian Rhapsody", "Queen", "A Night at the Opera", 354_320),
    Track("Clair de Lune", "Claude Debussy", "Suite bergamasque", 302_000),
    Track("So What", "Miles Davis", "Kind of Blue", 545_000),
    Track("Heroes", "David Bowie", "Heroes", 371_413),
)


def find_track(uri: str) -> Track | None:
    return next((t for t in TRACKS if t.uri == uri), None)


def search(text: str, kinds: frozenset[str], limit: int, offset: int, href: str) -> dict[str, object]:
    """One page for each kind asked for; a song is found when every word occurs in its name, artist or album."""
    words = [w.partition(":")[2] or w for w in text.lower().replace('"', " ").split()]
    found = [t for t in TRACKS if all(w in f"{t.name} {t.artist} {t.album}".lower() for w in words)]
    items: dict[str, list[dict[str, object]]] = {
        "track": [t.as_json() for t in found],
        "artist": [_thing("artist", name, _id(name)) for name in dict.fromkeys(t.artist for t in found)],
        "album": [_thing("album", name, _id(name)) for name in dict.fromkeys(t.album for t in found)],
    }
    return {f"{kind}s": _page(items.get(kind, []), limit, offset, href) for kind in sorted(kinds)}


def _page(items: list[dict[str, object]], limit: int, offset: int, href: str) -> dict[str, object]:
    return {
        "href": href,
        "items": items[offset : offset + limit],
        "limit": limit,
        "next": None,
        "offset": offset,
        "previous": None,
        "total": len(items),
    }


def _thing(kind: str, name: str, identifier: str) -> dict[str, object]:
    return {
        "id": identifier,
        "name": name,
        "type": kind,
        "uri": f"spotify:{kind}:{identifier}",
        "href": f"https://api.spotify.com/v1/{kind}s/{identifier}",
        "external_urls": {"spotify": f"https://open.spotify.com/{kind}/{identifier}"},
    }


def _id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:22]
