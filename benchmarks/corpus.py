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

from rtmail.mail.model import Bounce, Envelope, Kind, Mail
from rtmail.mail.reading import html, message
from rtmail.mail.reading.quoting import split
from rtmail.mail.site import Site

VARIABLE = "RTMAIL_CORPUS"
REPLY = "reply text"
KINDS = (REPLY, "words", "headers", "files", "robots")
"""What is stated, by what of us it tries."""

_NOWHERE = Site(name="", tag="", domain="localhost", admin="")
_TAKEN = (Kind.REQUEST_OR_REPLY, Kind.MACHINE, Kind.LIST)
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_REPORTS = (Kind.BOUNCE, Kind.REPORT)
_AUTOMATIC = (Kind.AUTO_REPLY, Kind.MACHINE, *_REPORTS)
DEPTH = 10
"""So deep mails inside mails are looked into for file names."""
_MADE_UP = re.compile(r"part-[\d.]*\d(\.\w+)?")
"""What we call a part without a name."""
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
    """A file as read: the mail where it is one, and the new words; where it lies, and its bytes."""

    mail: Mail | None
    reply: str
    file: Path
    raw: bytes


_Check = Callable[[_Read, Any, Mapping[str, Any]], tuple[Any, bool]]
"""(the file as read, what is stated, everything stated of it) -> what was read, and whether it is that."""


def cases(folder: Path) -> Iterator[Case]:
    """Yield what the manifest in `folder` states, judged."""
    for line in (folder / "MANIFEST.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if new := set(row["expect"]) - set(_CHECKS) - set(_NOT_COMPARED):
            raise ValueError(f"{row['path']}: {', '.join(sorted(new))}: say how it is compared, or why not")
        stated = {key: value for key, value in row["expect"].items() if key in _CHECKS}
        if not stated:
            continue
        read = _read(folder / row["path"], row["kind"])
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


def _read(file: Path, kind: str) -> _Read:
    raw = file.read_bytes()
    if kind == "mail":
        mail = _mail(raw)
        return _Read(mail, mail.reply_text, file, raw)
    text = raw.decode("utf-8", "replace")
    text = html.html_to_text(text) if kind == "body-html" else text
    return _Read(None, split(text).new, file, raw)


def _mail(raw: bytes) -> Mail:
    return message.read(raw, Envelope(sender=None, recipients=(), ingress="pipe", arrived_at=_AT), _NOWHERE)


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


def _file_names(read: _Read, stated: Any, _expect: Mapping[str, Any]) -> tuple[list[str], bool]:
    """The names that headers give, those of attached mails too; a letter that the manifest could not read is U+FFFD there."""
    assert read.mail is not None
    found = list(_names(read.raw, read.mail, DEPTH))
    left = list(found)
    for name in stated:
        pattern = re.compile(re.sub("\ufffd+", lambda run: f".{{1,{len(run[0])}}}", re.escape(name)))
        match = next((one for one in left if pattern.fullmatch(one)), None)
        if match is None:
            return found, False
        left.remove(match)
    return found, not left


def _names(raw: bytes, mail: Mail, depth: int) -> Iterator[str]:
    for one in mail.attachments:
        if one.name and not _MADE_UP.fullmatch(one.name):
            yield one.name
        if depth and one.type in ("message/rfc822", "message/global"):
            inner = message.payload(raw, one.part)
            yield from _names(inner, _mail(inner), depth - 1)


def _joins(read: _Read, stated: Any, _expect: Mapping[str, Any]) -> tuple[Any, bool]:
    assert read.mail is not None
    cited = (*read.mail.in_reply_to, *read.mail.references)
    return cited, _mail(read.file.with_name(stated).read_bytes()).message_id in cited


def _action(bounce: Bounce | None, stated: Any) -> bool:
    """What a report says of all its recipients: failed wins over delayed, and successes are no bounce."""
    actions = [str(one).lower() for one in stated]
    if any(one.startswith(("fail", "error")) for one in actions):
        return bounce is not None and not bounce.temporary
    return (bounce is not None and bounce.temporary) if any(one.startswith("delayed") for one in actions) else bounce is None


def _final(bounce: Bounce | None, stated: Any) -> bool:
    return bounce is not None and sorted(one.lower() for one in bounce.recipients) == sorted({str(one).lower() for one in stated})


def _agrees(holds: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """A statement that may be false: the opposite must hold then."""
    return lambda found, stated: holds(found, stated) is bool(stated)


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
    "subject_startswith": ("headers", _of_mail(lambda mail: mail.subject, lambda found, stated: found.startswith(stated))),
    "no_sender": ("headers", _of_mail(lambda mail: mail.sender.spec, _agrees(lambda found, _: not found))),
    "joins_thread_of": ("headers", _joins),
    "forwarded_from": (
        "headers", _of_mail(lambda mail: mail.forwarded.sender.spec if mail.forwarded and mail.forwarded.sender else "", _same)),
    "auto_submitted": ("headers", _of_mail(lambda mail: mail.headers.get("auto-submitted", ()), lambda found, stated: stated in found)),
    "body_contains_any": (
        "words", _of_mail(lambda mail: mail.text, lambda found, stated: any(_bare(one) in _bare(found) for one in stated))),
    "filenames": ("files", _file_names),
    "attachment_count_min": ("files", _of_mail(lambda mail: len(mail.attachments), lambda found, stated: found >= stated)),
    "attachment_count_nonempty": ("files", _of_mail(lambda mail: sum(one.bytes > 0 for one in mail.attachments), _equal)),
    "is_dsn": ("robots", _of_mail(lambda mail: mail.kind, _agrees(lambda found, _: found in _REPORTS))),
    "is_mdn": ("robots", _of_mail(lambda mail: mail.kind, _agrees(lambda found, _: found in _REPORTS))),
    "dsn_action": ("robots", _of_mail(lambda mail: mail.bounce, _action)),
    "dsn_final_recipient": ("robots", _of_mail(lambda mail: mail.bounce, _final)),
    "bounce_status": ("robots", _of_mail(lambda mail: mail.bounce.status if mail.bounce else "", lambda found, stated: found in stated)),
    "peer_finds_no_recipient": (
        "robots", _of_mail(lambda mail: mail.bounce.recipients if mail.bounce else (), _agrees(lambda found, _: not found))),
    "auto_generated_header": ("robots", _of_mail(lambda mail: mail.kind, _agrees(lambda found, _: found in _AUTOMATIC))),
    "peer_calls_auto_generated": ("robots", _of_mail(lambda mail: mail.kind, lambda found, _: found in (*_AUTOMATIC, Kind.LIST))),
    "is_bounce": ("robots", _of_mail(lambda mail: mail.bounce is not None and not mail.bounce.temporary, _equal)),
    "bounce_recipients": ("robots", _of_mail(lambda mail: mail.bounce.recipients if mail.bounce else [], _equal_sets)),
    "bounce_temporary": ("robots", _of_mail(lambda mail: bool(mail.bounce and mail.bounce.temporary), _equal)),
    "is_auto_reply": ("robots", _of_mail(lambda mail: mail.kind is not Kind.REQUEST_OR_REPLY, _equal)),
    "should_autorespond": ("robots", _of_mail(lambda mail: mail.answerable, _equal)),
    "accepted": ("robots", _of_mail(lambda mail: mail.kind in _TAKEN, _equal)),
}
"""What is compared, by the manifest's keys: what of us it tries, and how."""

_NOT_COMPARED: dict[str, str] = {
    "max_seconds": "a limit for reply text alone; tests/test_quoting.py holds one",
    "reply_format": "how reply_text is compared",
    "detector": "which of its own detectors the peer used",
    "stdlib_defects": "how many defects Python's own parser reports",
    "peer_refuses_as": "the peer's own policy",
    "peer_is_auto_generated_for_list": "the peer's own setting",
    "thread_group": "a name for what joins_thread_of says",
    "follow_up_to_ticket": "the peer's own tag in the subject",
    "subject_if_default_charset_koi8r": "a setting that rtmail has not: it detects charsets",
    "attachment_count_counting_every_nontext_part": "the peer counts containers too",
}
"""What is stated and not compared, with the reason; a key that stands nowhere is an error."""
