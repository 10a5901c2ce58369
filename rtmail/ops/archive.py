"""A backup as a file: a tar in gzip (`tar -tzf FILE`), readable by its owner only, told apart by its first member.

manifest.json says what is in it, when and by which version it was made, and the SHA-256 of every other member.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

from rtmail.errors import RtmailError
from rtmail.failpoint import failpoint

MANIFEST = "manifest.json"
FORMAT = 1
_CHUNK_BYTES = 1 << 20


class BadArchive(RtmailError):  # noqa: N818  (the sentence that the command line says)
    """The file is no backup of rtmail, or a damaged one."""


def sha256(path: Path) -> str:
    """Return the hash of a file, in hex."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def write(file: Path, manifest: Mapping[str, Any], members: Mapping[str, Path]) -> int:
    """Make the archive `file` from `members` (name in the archive -> file), prove that it can be read, and return its bytes.

    It appears whole and on disk, or not at all. Raises FileExistsError when there is one, OSError, BadArchive.
    """
    whole = {**manifest, "format": FORMAT, "sha256": {name: sha256(path) for name, path in members.items()}}
    draft = file.with_name(f".{file.name}.part")
    draft.unlink(missing_ok=True)
    try:
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            with gzip.GzipFile("", "wb", 3, out) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
                text = json.dumps(whole, indent=2).encode()
                head = tarfile.TarInfo(MANIFEST)
                head.size, head.mode = len(text), 0o600
                tar.addfile(head, io.BytesIO(text))
                for name, path in members.items():
                    with path.open("rb") as source:
                        info = tar.gettarinfo(arcname=name, fileobj=source)
                        info.mode, info.uid, info.gid, info.uname, info.gname = 0o600, 0, 0, "", ""
                        tar.addfile(info, source)
            out.flush()
            os.fsync(out.fileno())
        for _ in read(draft):
            pass
        failpoint("backup-written")
        os.link(draft, file)
    finally:
        draft.unlink(missing_ok=True)
    sync(file.parent)
    return file.stat().st_size


def sync(folder: Path) -> None:
    """Let the names in a folder be on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def manifest_of(file: Path) -> dict[str, Any]:
    """Return the manifest of an archive. Raises BadArchive, OSError."""
    with _members(file) as (tar, _):
        return _manifest(file, tar)


def read(file: Path, into: Path | None = None) -> Iterator[str]:
    """Yield the names of the members one by one as each is proven whole, and put it below `into` when that is given.

    Raises BadArchive for what is not as the manifest says, OSError.
    """
    with _members(file) as (tar, plain):
        expected = dict(_manifest(file, tar)["sha256"])
        for info in islice(tar, 1, None):
            known = expected.pop(info.name, None)
            source = tar.extractfile(info) if info.isreg() else None
            if known is None or source is None or not _inside(info.name):
                raise BadArchive(f"{file}: holds {info.name!r}, which its manifest does not name")
            if _taken(source, into / info.name if into else None) != known:
                raise BadArchive(f"{file}: {info.name} is damaged; take another backup")
            yield info.name
        while plain.read(_CHUNK_BYTES):
            pass  # to the checksum at the very end
        if expected:
            raise BadArchive(f"{file}: {', '.join(sorted(expected))} is missing; take another backup")


def _inside(name: str) -> bool:
    path = Path(name)
    return not path.is_absolute() and ".." not in path.parts


def _taken(source: IO[bytes], there: Path | None) -> str:
    """Return the hash of what is read; it is written to the new file `there`."""
    digest = hashlib.sha256()
    if there is not None:
        there.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    out = os.fdopen(os.open(there, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") if there is not None else io.BytesIO()
    with out:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
            if there is not None:
                out.write(chunk)
        if there is not None:
            out.flush()
            os.fsync(out.fileno())
    return digest.hexdigest()


@contextmanager
def _members(file: Path) -> Iterator[tuple[tarfile.TarFile, gzip.GzipFile]]:
    try:
        with file.open("rb") as packed, gzip.GzipFile("", "rb", fileobj=packed) as plain, tarfile.open(fileobj=plain, mode="r|") as tar:
            yield tar, plain
    except (gzip.BadGzipFile, zlib.error, tarfile.TarError, EOFError) as error:
        raise BadArchive(f"{file}: no backup of rtmail, or a damaged one ({error}); take another") from error


def _manifest(file: Path, tar: tarfile.TarFile) -> dict[str, Any]:
    first = tar.next()
    source = tar.extractfile(first) if first is not None and first.name == MANIFEST else None
    if source is None:
        raise BadArchive(f"{file}: no backup of rtmail: its first member is not {MANIFEST}")
    try:
        found: dict[str, Any] = json.loads(source.read(_CHUNK_BYTES))
        if found["format"] != FORMAT:
            raise BadArchive(f"{file}: made by another rtmail ({found.get('rtmail')}): install that version, or a newer one")
        dict(found["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadArchive(f"{file}: its {MANIFEST} cannot be read") from error
    return found
