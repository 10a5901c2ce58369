"""`rtmail import mbox|maildir|imap|rt`: years of mail, or another tracker's database, become requests, silently."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import click

from rtmail.cli.common import Command, Commands, config_option, end, json_option, known_queue, opened, put, several
from rtmail.clockwork import system
from rtmail.config import Config
from rtmail.engine.history import Became, Historian, Terms
from rtmail.engine.office import Office
from rtmail.errors import DiskFull, RtmailError
from rtmail.ingress.imap import Server
from rtmail.ops import building
from rtmail.ops.moving import archive, boxes, imapbox
from rtmail.ops.moving import rt as tracker
from rtmail.store.rt import NotRt, RtDatabase

PATHS = click.Path(exists=True, path_type=Path)
_FULL = "the disk is so full that mail is not accepted any more: make room, and start it again; what was taken in stays"
_SAYS = {
    Became.OPENED: "opened requests",
    Became.ADDED: "added to requests",
    Became.HERE: "were here already",
    Became.NOTED: "repeat what is here, or were automatic: noted",
    Became.LEFT: "left out",
}


@click.group(cls=Commands)
def import_() -> None:
    """Move in: an archive of mail, or the database of another tracker, becomes requests. No mail goes out.

    What was here already is passed over, so a run that was interrupted is simply started again. The daemon may be running.
    """


def _closed_after(help_: str) -> Callable[[Command], Command]:
    return click.option("--closed-after", type=click.IntRange(min=1), default=30, show_default=True, help=help_)


_report = click.option("--report", type=click.Path(dir_okay=False, path_type=Path),
                       help="file for the list of what was not clear (default: import-report.jsonl in the state folder)")  # fmt: skip
_archive_options = several(
    click.option("--queue", default="", help="queue of mails in which no address of yours stands; without it they are left out"),
    click.option("--staff", multiple=True, metavar="ADDRESS",
                 help="somebody who was of the staff then (or @domain); as often as you like"),
    _closed_after("days without a word after which a request counts as closed"),
    _report, json_option, config_option,
)  # fmt: skip


@import_.command("mbox")
@click.argument("paths", nargs=-1, type=PATHS, metavar="PATH...")
@click.option("--sent", multiple=True, type=PATHS, help="mbox file of sent mail, besides those whose name says so")
@_archive_options
def mbox(found: Config, paths: tuple[Path, ...], sent: tuple[Path, ...], **given: Any) -> None:
    """Take in mbox files, or folders of them."""
    _take_in(found, lambda: [*boxes.mboxes(paths), *boxes.mboxes(sent, sent=True)], "mbox", **given)


@import_.command("maildir")
@click.argument("paths", nargs=-1, type=PATHS, metavar="PATH...")
@click.option("--sent", multiple=True, type=PATHS, help="Maildir of sent mail, besides folders whose name says so")
@_archive_options
def maildir(found: Config, paths: tuple[Path, ...], sent: tuple[Path, ...], **given: Any) -> None:
    """Take in Maildirs with the folders below them."""
    _take_in(found, lambda: [*boxes.maildirs(paths), *boxes.maildirs(sent, sent=True)], "maildir", **given)


@import_.command("imap", short_help="Take in the folders of an IMAP mailbox.")
@click.argument("mailbox")
@click.option("--folder", "folders", multiple=True, help="this folder only; as often as you like (default: all but drafts, trash and junk)")
@click.option("--sent", multiple=True, help="folder of sent mail, besides those whose name or flag says so")
@_archive_options
def imap(found: Config, mailbox: str, folders: tuple[str, ...], sent: tuple[str, ...], **given: Any) -> None:
    """Take in the folders of an IMAP mailbox: the NAME of [ingress.imap.NAME], or imaps://USER@HOST[:PORT].

    The password of the second comes from RTMAIL_IMPORT_PASSWORD, or is asked for. Nothing in the mailbox changes.
    """
    _take_in(found, lambda: imapbox.mailbox(_server(found, mailbox), folders, sent), "imap", **given)


@import_.command("rt", short_help="Take over the requests of Best Practical RT 5.")
@click.argument("database")
@click.option("--queue", "queues", multiple=True, metavar="RT=OURS", help="RT's queue and ours, where neither address nor name is the same")
@_closed_after("days after which what RT calls resolved is closed here")
@_report
@json_option
@config_option
def rt(found: Config, database: str, queues: tuple[str, ...], closed_after: int, report: Path | None, as_json: bool) -> None:
    """Take over the requests of Best Practical RT 5 from its DATABASE: a SQLite file, or postgresql://USER@HOST/NAME.

    RT's database is only read. Run again, it adds what RT got since, and leaves alone what goes on here.
    """
    now = system()
    given = dict(one.partition("=")[::2] for one in queues)
    try:
        source = RtDatabase(database)
    except NotRt as error:
        end(f"rtmail: {error}")
    with opened(found) as store, shown_progress(as_json) as progress, archive.readers() as pool:
        office = Office(building.blueprint(found), store, now)
        try:
            wish = tracker.Wish(tracker.queues(source, office, given), timedelta(days=closed_after))
            done = tracker.take_over(store, office, source, wish, now, progress, pool=pool)
        except NotRt as error:
            end(f"rtmail: {error}", 2)
        except DiskFull as error:
            end(f"rtmail: {_FULL}", error.exit_code)
        finally:
            source.close()
    file = report or found.state / "import-report.jsonl"
    _write_lines(file, [asdict(one) for one in done.unclear])
    if as_json:
        counts = {name: done.became[name] for name in ("opened", "added", "here", "alive")}
        put({"requests": done.requests, **counts, "mails": done.mails, "unclear": len(done.unclear), "report": str(file)})
        return
    click.echo(f"{done.requests} requests of RT's")
    says = {"opened": "taken over", "added": "got what RT got since", "here": "were here already", "alive": "go on here: left as they are"}
    for name, words in says.items():
        if done.became[name]:
            click.echo(f"  {done.became[name]:>8} {words}")
    if done.unclear:
        click.echo(f"{len(done.unclear)} things are worth a look: {file}")
    click.echo("next: rtmail ticket list, rtmail audit")


def _server(found: Config, mailbox: str) -> Server:
    """Return how to get at a mailbox. Raises NoArchive."""
    if "://" not in mailbox:
        known = {one.name: one.server for one in building.mailboxes(found)}
        if mailbox not in known:
            raise boxes.NoArchive(f"there is no [ingress.imap.{mailbox}]; write its name, or imaps://USER@HOST")
        return known[mailbox]
    parts = urlsplit(mailbox)
    if parts.scheme not in ("imaps", "imap") or not parts.hostname or not parts.username or parts.password:
        raise boxes.NoArchive("write imaps://USER@HOST[:PORT], without a password: that comes from RTMAIL_IMPORT_PASSWORD, or is asked for")
    password = os.environ.get("RTMAIL_IMPORT_PASSWORD")
    if not password and not sys.stdin.isatty():
        raise boxes.NoArchive(f"there is no password of {unquote(parts.username)}: put it into RTMAIL_IMPORT_PASSWORD")
    password = password or click.prompt(f"password of {unquote(parts.username)}", hide_input=True, err=True)
    secure = parts.scheme == "imaps"
    return Server(
        host=parts.hostname, port=parts.port or (993 if secure else 143), tls="implicit" if secure else "starttls",
        user=unquote(parts.username), password=password, ca_file=os.environ.get("SSL_CERT_FILE", ""),
    )  # fmt: skip


def _take_in(found: Config, open_boxes: Callable[[], Sequence[boxes.Box]], source: str, *, queue: str, staff: tuple[str, ...],
             closed_after: int, report: Path | None, as_json: bool) -> None:  # fmt: skip
    known_queue(found, queue)
    now = system()
    try:
        opened_boxes = open_boxes()
    except (RtmailError, OSError) as error:
        end(f"rtmail: {error}")
    if not opened_boxes:
        end("rtmail: name at least one PATH", 2)
    terms = Terms(tuple(one.lower() for one in staff), queue, timedelta(days=closed_after), source)
    with opened(found) as store, shown_progress(as_json) as progress, archive.readers() as pool:
        office = Office(building.blueprint(found), store, now)
        historian = Historian(store, office, terms, now)
        settings = json.dumps([queue, sorted(terms.staff), closed_after])
        try:
            done = archive.take_in(store, office, historian, opened_boxes, now, progress, pool=pool, settings=settings)
        except DiskFull as error:
            end(f"rtmail: {_FULL}", error.exit_code)
        finally:
            for box in opened_boxes:
                box.close()
    file = report or found.state / "import-report.jsonl"
    _write_report(file, done)
    _tell(done, file, as_json)


@contextmanager
def shown_progress(quiet: bool) -> Iterator[archive.Progress]:
    """Show a bar on a terminal's stderr; nothing where stderr is none."""
    if quiet or not sys.stderr.isatty():
        yield lambda what, done, whole: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("looking", total=None)
        yield lambda what, done, whole: bar.update(task, description=what, completed=done, total=whole or None)


def _write_report(file: Path, done: archive.Report) -> None:
    _write_lines(file, [{**asdict(one), "at": one.at.isoformat()} for one in done.unclear])


def _write_lines(file: Path, lines: Sequence[dict[str, Any]]) -> None:
    with open(os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        for line in lines:
            out.write(json.dumps(line, ensure_ascii=False) + "\n")


def _tell(done: archive.Report, file: Path, as_json: bool) -> None:
    if as_json:
        put({"mails": done.mails, **{str(became): done.became[became] for became in Became}, "reasons": dict(done.left),
             "unclear": len(done.unclear), "report": str(file)})
        return
    click.echo(f"{done.mails} mails")
    for became, says in _SAYS.items():
        if done.became[became]:
            click.echo(f"  {done.became[became]:>8} {says}")
            if became is Became.LEFT:
                for why, count in done.left.most_common():
                    click.echo(f"           {count:>8} {why}")
    if done.unclear:
        click.echo(f"{len(done.unclear)} of them are worth a look: {file}")
    click.echo("next: rtmail ticket list, rtmail audit")
