"""`rtmail template show|test NAME`: what a mail of ours says, from sample facts and the templates that this config uses."""

from __future__ import annotations

from email import message_from_bytes
from email.header import decode_header, make_header
from pathlib import Path

import click

from rtmail.cli.check import template_problems
from rtmail.cli.common import Commands, config_option, end, json_option, known_queue, put, refuse, tell
from rtmail.config import Config
from rtmail.errors import EX_CONFIG, ConfigError
from rtmail.mail.site import Site
from rtmail.mail.token import Keyring
from rtmail.mail.writing.compose import Workshop, compose
from rtmail.mail.writing.draft import Outgoing
from rtmail.mail.writing.samples import SENT_AT, names, sample_draft
from rtmail.mail.writing.templates import TemplateError, Templates

_KEYRING = Keyring(0, {0: bytes(32)})
"""Signs for samples alone: what they link to is accepted by nobody."""
_SHOWN = ("From", "To", "Cc", "Reply-To", "Subject")


@click.group(cls=Commands)
def template() -> None:
    """Show mails as they look, and try your own templates."""


@template.command("list")
@json_option
@config_option
def list_(found: Config, as_json: bool) -> None:
    """Name every mail, and the languages that it speaks."""
    templates = _templates(found)
    for name in names():
        languages = list(templates.languages(name))
        tell(as_json, {"name": name, "languages": languages}, f"{name:<18} {', '.join(languages)}")


@template.command("show")
@click.argument("name")
@click.option("--language", default="", help="the recipient's language: en, de, uk ...")
@click.option("--queue", default="", help="the queue that it is sent for; default: the first")
@click.option("--html", "as_html", is_flag=True, help="print the HTML part")
@click.option("--raw", is_flag=True, help="print the whole mail as it would be sent")
@json_option
@config_option
def show(found: Config, name: str, language: str, queue: str, as_html: bool, raw: bool, as_json: bool) -> None:
    """Print the mail NAME with sample facts."""
    outgoing = _composed(found, name, language, queue)
    if as_json:
        mail = message_from_bytes(outgoing.raw)
        headers = {header.lower(): str(make_header(decode_header(mail[header]))) if mail[header] else "" for header in _SHOWN}
        put({"name": name, **headers, "text": _part(outgoing, "text/plain"), "html": _part(outgoing, "text/html")})
    elif raw:
        click.echo(outgoing.raw, nl=False)
    elif as_html:
        click.echo(_part(outgoing, "text/html"), nl=False)
    else:
        mail = message_from_bytes(outgoing.raw)
        for header in _SHOWN:
            if mail[header]:
                click.echo(f"{header}: {make_header(decode_header(mail[header]))}")
        click.echo(f"\n{_part(outgoing, 'text/plain')}", nl=False)


@template.command()
@click.argument("chosen", metavar="[NAME]...", nargs=-1)
@click.option("--write", type=click.Path(file_okay=False, path_type=Path), help="put each mail into this folder, to open in a mail client")
@json_option
@config_option
def test(found: Config, chosen: tuple[str, ...], write: Path | None, as_json: bool) -> None:
    """Render mails in every language and queue, all of them when none is named; exit 78 with file, line and cure when one fails."""
    templates, failed, count = _templates(found), [], 0
    if not chosen:
        failed += [str(problem) for problem in template_problems(found)]
    for name in chosen or names():
        _known(name)
        for queue in found.queues:
            for language in templates.languages(name):
                try:
                    outgoing = _composed(found, name, language, queue, templates)
                except TemplateError as error:
                    failed.append(str(error))
                    continue
                count += 1
                if write:
                    write.mkdir(parents=True, exist_ok=True)
                    (write / f"{queue}-{name}.{language}.eml").write_bytes(outgoing.raw)
    for line in dict.fromkeys(failed):
        click.echo(line, err=True)
    if failed:
        raise SystemExit(EX_CONFIG)
    said = f"{count} mails, no mistakes{f'; they are in {write}' if write else ''}"
    tell(as_json, {"mails": count, "folder": str(write) if write else None}, said)


def _composed(found: Config, name: str, language: str, queue: str, templates: Templates | None = None) -> Outgoing:
    """Return the sample of `name`; a template that cannot be rendered ends `show` with its line, and is raised for `test`."""
    _known(name)
    queue = known_queue(found, queue) or next(iter(found.queues))
    site: Site = found.site()
    queues = {key: (table.address, table.comment_address) for key, table in found.queues.items()}
    workshop = Workshop(site, queues, _KEYRING, templates or _templates(found), frozenset({1, 2}))
    try:
        return compose(sample_draft(name, queue, language), SENT_AT, 1, workshop, lambda raw_id, part: b"")
    except TemplateError as error:
        if templates is not None:
            raise
        end(str(error), EX_CONFIG)


def _templates(found: Config) -> Templates:
    try:
        return Templates(found.templates(), found.settings.timezone, found.settings.language)
    except ConfigError as error:
        refuse(error)


def _known(name: str) -> None:
    if name not in names():
        end(f"rtmail: no mail is called {name!r}; there are: {', '.join(names())}")


def _part(outgoing: Outgoing, type_: str) -> str:
    for part in message_from_bytes(outgoing.raw).walk():
        if part.get_content_type() == type_:
            payload = part.get_payload(decode=True)
            return payload.decode().replace("\r\n", "\n") if isinstance(payload, bytes) else ""
    return ""
