"""How other projects' mails are read: the share right in each family of what the families themselves state.

RTMAIL_CORPUS=FOLDER python -m benchmarks.run --only corpus

FOLDER holds MANIFEST.jsonl, one JSON object a line: `path`, `family`, `kind` (mail, body-text, body-html) and `expect`, what that
project's own tests say about the file. What is stated is not edited: what is read otherwise is printed, and `benchmarks/corpus.md`
says why. A reply whose expected words are not all in ours is counted apart: these are new words lost.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rtmail.mail import html, message
from rtmail.mail.model import Envelope, Kind, Mail
from rtmail.mail.quoting import split
from rtmail.mail.site import Site

VARIABLE = "RTMAIL_CORPUS"
REPLY = "reply text"
KINDS = (REPLY, "words", "headers", "files", "robots")
"""What is stated, by what of us it tries."""

_NOWHERE = Site(name="", tag="", domain="localhost", admin="")
_TAKEN = (Kind.REQUEST_OR_REPLY, Kind.MACHINE, Kind.LIST)
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_MARKDOWN = re.compile(r"<[^<>\s]+>|[*_>]|^#+ ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Case:
    """One fact that a family states about one file, and whether we read it so. `lost`: words of the reply that ours lacks."""

    family: str
    path: str
    key: str
    kind: str
    right: bool
    lost: tuple[str, ...] = ()
    seen: str = ""
    stated: str = ""


@dataclass(frozen=True, slots=True)
class _Read:
    """A file as read: the mail where it is one, and the new words."""

    mail: Mail | None
    reply: str


_Check = Callable[[_Read, Any, Mapping[str, Any]], tuple[Any, bool]]
"""(the file as read, what is stated, everything stated of it) -> what was read, and whether it is that."""


def cases(folder: Path) -> Iterator[Case]:
    """Yield what the manifest in `folder` states, judged."""
    for line in (folder / "MANIFEST.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        stated = {key: value for key, value in row["expect"].items() if key in _CHECKS}
        if not stated:
            continue
        read = _read((folder / row["path"]).read_bytes(), row["kind"])
        for key, value in stated.items():
            kind, check = _CHECKS[key]
            if kind != REPLY and read.mail is None:
                continue
            seen, right = check(read, value, row["expect"])
            lost = _lost(read.reply, value, row["expect"]) if key in ("reply_text", "reply_contains") else ()
            yield Case(row["family"], row["path"], key, kind, right, lost, str(seen), str(value))


def report(folder: Path) -> None:
    """Print the shares right, and each miss."""
    found = list(cases(folder))
    families = sorted({case.family for case in found})
    print(f"{'stated by others, read so, %':<26}" + "".join(f"{kind:>16}" for kind in (*KINDS, "all")))
    for family in (*families, ""):
        mine = [case for case in found if family in ("", case.family)]
        cells = [_share([case for case in mine if case.kind == kind]) for kind in KINDS] + [_share(mine)]
        print(f"  {family or 'all':<24}" + "".join(f"{cell:>16}" for cell in cells))
    lost = [case for case in found if case.lost]
    print(f"  replies in which new words are lost: {len(lost)}\n")
    for case in found:
        if not case.right or case.lost:
            print(f"  {case.path} {case.key}{' LOST ' + ' '.join(case.lost) if case.lost else ''}")
            print(f"    stated {' '.join(case.stated.split())[:200]!r}\n    read   {' '.join(case.seen.split())[:200]!r}")


def folder() -> Path | None:
    """Return the corpus that the environment names, if any."""
    named = os.environ.get(VARIABLE, "")
    return Path(named) if named else None


def _share(mine: list[Case]) -> str:
    right = sum(case.right for case in mine)
    return f"{100 * right / len(mine):.1f} ({right}/{len(mine)})" if mine else "-"


def _read(raw: bytes, kind: str) -> _Read:
    if kind == "mail":
        mail = message.read(raw, Envelope(sender=None, recipients=(), ingress="pipe", arrived_at=_AT), _NOWHERE)
        return _Read(mail, mail.reply_text)
    text = raw.decode("utf-8", "replace")
    text = html.html_to_text(text) if kind == "body-html" else text
    return _Read(None, split(text).new)


def _words(text: str, expect: Mapping[str, Any]) -> str:
    if expect.get("reply_format") == "markdown":
        # The peer writes Markdown where the HTML had emphasis and links: the words are what is compared.
        text = _MARKDOWN.sub(" ", text)
    return " ".join(text.split())


def _lost(reply: str, stated: Any, expect: Mapping[str, Any]) -> tuple[str, ...]:
    if not isinstance(stated, str):
        return tuple(one for one in stated if _words(one, expect) not in _words(reply, expect))
    return tuple((Counter(_words(stated, expect).split()) - Counter(_words(reply, expect).split())).elements())


def _reply(read: _Read, stated: Any, expect: Mapping[str, Any]) -> tuple[str, bool]:
    return read.reply, _words(read.reply, expect) == _words(stated, expect)


def _reply_contains(read: _Read, stated: Any, expect: Mapping[str, Any]) -> tuple[str, bool]:
    return read.reply, all(_words(one, expect) in _words(read.reply, expect) for one in stated)


def _reply_absent(read: _Read, stated: Any, expect: Mapping[str, Any]) -> tuple[str, bool]:
    return read.reply, not any(_words(one, expect) in _words(read.reply, expect) for one in stated)


def _of_mail(seen: Callable[[Mail], Any], agrees: Callable[[Any, Any], bool]) -> _Check:
    def check(read: _Read, stated: Any, _expect: Mapping[str, Any]) -> tuple[Any, bool]:
        assert read.mail is not None
        found = seen(read.mail)
        return found, agrees(found, stated)

    return check


def _bare(value: Any) -> str:
    return "".join(str(value).split()).casefold()


def _same(found: Any, stated: Any) -> bool:
    return _bare(found) == _bare(stated)


def _specs(addresses: Any) -> list[str]:
    return [address.spec.lower() for address in addresses]


def _listed(stated: Any) -> list[Any]:
    return stated if isinstance(stated, list) else [stated]


def _all_in(found: Any, stated: Any) -> bool:
    return all(_bare(one) in _bare(found) for one in _listed(stated))


def _none_in(found: Any, stated: Any) -> bool:
    return not any(_bare(one) in _bare(found) for one in _listed(stated))


def _equal(found: Any, stated: Any) -> bool:
    return bool(found == stated)


def _equal_sets(found: Any, stated: Any) -> bool:
    return sorted(map(str, found)) == sorted(map(str, _listed(stated)))


_CHECKS: dict[str, tuple[str, _Check]] = {
    "reply_text": (REPLY, _reply),
    "reply_contains": (REPLY, _reply_contains),
    "reply_absent": (REPLY, _reply_absent),
    "body_text": ("words", _of_mail(lambda mail: mail.text, _same)),
    "body_contains": ("words", _of_mail(lambda mail: mail.text, _all_in)),
    "body_contains_ws": ("words", _of_mail(lambda mail: mail.text, _all_in)),
    "body_absent": ("words", _of_mail(lambda mail: mail.text, _none_in)),
    "charset_fragment": ("words", _of_mail(lambda mail: f"{mail.text} {mail.subject} {mail.sender.name}", _all_in)),
    "subject": ("headers", _of_mail(lambda mail: mail.subject, _same)),
    "subject_contains": ("headers", _of_mail(lambda mail: mail.subject, _all_in)),
    "from_addr": ("headers", _of_mail(lambda mail: mail.sender.spec, _same)),
    "from_name": ("headers", _of_mail(lambda mail: mail.sender.name, _same)),
    "to_addrs": ("headers", _of_mail(lambda mail: _specs(mail.to), _equal_sets)),
    "cc_addrs": ("headers", _of_mail(lambda mail: _specs(mail.cc), _equal_sets)),
    "message_id": ("headers", _of_mail(lambda mail: mail.message_id.strip("<>"), _same)),
    "attachment_count": ("files", _of_mail(lambda mail: len(mail.attachments), _equal)),
    "attachment_names": ("files", _of_mail(lambda mail: [one.name for one in mail.attachments], _equal_sets)),
    "attachment_bytes": ("files", _of_mail(lambda mail: [one.bytes for one in mail.attachments], _equal_sets)),
    "attachment_sha256": ("files", _of_mail(lambda mail: [one.sha256 for one in mail.attachments], _equal_sets)),
    "is_bounce": ("robots", _of_mail(lambda mail: mail.bounce is not None and not mail.bounce.temporary, _equal)),
    "bounce_recipients": ("robots", _of_mail(lambda mail: mail.bounce.recipients if mail.bounce else [], _equal_sets)),
    "bounce_temporary": ("robots", _of_mail(lambda mail: bool(mail.bounce and mail.bounce.temporary), _equal)),
    "is_auto_reply": ("robots", _of_mail(lambda mail: mail.kind is not Kind.REQUEST_OR_REPLY, _equal)),
    "should_autorespond": ("robots", _of_mail(lambda mail: mail.answerable, _equal)),
    "accepted": ("robots", _of_mail(lambda mail: mail.kind in _TAKEN, _equal)),
}
"""What is compared, by the manifest's keys: what of us it tries, and how."""
