"""What a bucket holds, as its listing has it and what was put and removed since."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from keybearer.backups.offsite import pieces, volume
from keybearer.backups.offsite.bucket import Bucket
from keybearer.backups.offsite.pieces import Piece


class Stored:
    def __init__(self, found: Iterable[Piece] = ()) -> None:
        self._files: dict[str, set[Piece]] = defaultdict(set)
        for piece in found:
            self.add(piece)

    @classmethod
    def of(cls, bucket: Bucket, belongs: Callable[[str], bool] = lambda _: True) -> "Stored":
        """Raises BucketError."""
        found = (pieces.parse(name) for name in bucket.names())
        return cls(piece for piece in found if piece is not None and belongs(piece.path))

    def add(self, piece: Piece) -> None:
        self._files[piece.path].add(piece)

    def discard(self, piece: Piece) -> None:
        self._files[piece.path].discard(piece)
        if not self._files[piece.path]:
            del self._files[piece.path]

    def paths(self) -> list[str]:
        return sorted(self._files, key=volume.order)

    def pieces(self, path: str) -> frozenset[Piece]:
        return frozenset(self._files.get(path, ()))

    def newest(self, path: str) -> list[Piece] | None:
        """The pieces in their order, of the newest state of a file that is there as a whole."""
        for written in sorted({piece.written for piece in self.pieces(path)}, reverse=True):
            for state in self._states(path, written):
                if [piece.number for piece in state] == list(range(1, state[0].count + 1)):
                    return state
        return None

    def whole(self) -> Iterator[list[Piece]]:
        """Each file's newest state. Base backups that are not there as a whole are left out."""
        for path in self.paths():
            manifest = volume.manifest_beside(path)
            if (state := self.newest(path)) is not None and (manifest is None or self.newest(manifest) is not None):
                yield state

    def _states(self, path: str, written: str) -> Iterator[list[Piece]]:
        """A piece may be there under two keys, of which either will do."""
        found = [piece for piece in self.pieces(path) if piece.written == written]
        for count in sorted({piece.count for piece in found}):
            numbered = {piece.number: piece for piece in sorted(found) if piece.count == count}
            yield [numbered[number] for number in sorted(numbered)]
