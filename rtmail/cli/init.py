"""`rtmail init DIR`: a commented config to begin with; nothing that exists is touched.

The values come from flags, or on a terminal from questions. The files are the shipped ones with the values put in, and are checked
before anything is written, so that what `init` leaves behind passes `rtmail check`, passwords apart. Then the relay and the mailbox
are tried as `rtmail doctor` does.

A folder below /etc is the config folder itself, with the data where the unit has it; elsewhere DIR holds config/ and var/. A package
puts its example into /etc/rtmail: as long as nobody changed it, it is nobody's, and makes room for the config of the house.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import click

from rtmail import config
from rtmail.cli.asking import asked
from rtmail.cli.owner import giving_back, share_secrets
from rtmail.clockwork import system
from rtmail.config.secrets import RELAY_PASSWORD
from rtmail.errors import EX_CONFIG, ConfigError, PolicyError, Problem
from rtmail.mail.address import parse_list
from rtmail.ops.beginning import MAILBOX, Answers, App, Staff, app_secret, env, example, filled, mailbox_secret, read_mailbox
from rtmail.policy import schema

SYSTEM = Path("/etc")
SECRETS = (RELAY_PASSWORD, mailbox_secret(), app_secret())
_FIRST_QUEUE = re.compile(r'^address = "([^"]*)"', re.MULTILINE)
_ADMIN = re.compile(r'^admin = "([^"]*)"', re.MULTILINE)
_PERSON = re.compile(r'^email = "([^"]*)"', re.MULTILINE)


class _Person(click.ParamType["Staff", object]):
    name = 'key="Name <address>"'

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Staff:
        key, _, written = str(value).partition("=")
        found = parse_list([written])
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,40}", key) or len(found) != 1:
            self.fail('write key="Name <address>", for example jane="Jane Doe <jane@example.net>"', param, ctx)
        return Staff(key, found[0].name or key.capitalize(), found[0].spec)


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--site", default="", metavar="NAME", help="the house's name, also the tag in subjects")
@click.option("--domain", default="", help="domain of the addresses")
@click.option("--address", default="", help="where customers write; default support@ the domain")
@click.option("--timezone", default="", metavar="ZONE", help="IANA name, as Europe/Berlin; default UTC")
@click.option("--mailbox", default="", metavar="URL", help="a mailbox to read: imaps://USER@HOST[:PORT][/FOLDER], imap+starttls://…")
@click.option("--lmtp", default="", metavar="PLACE", help="take mail by LMTP too: 127.0.0.1:2424 or unix:PATH")
@click.option("--relay", default="", metavar="URL", help="smtp://…, smtp+starttls://…, smtps://… or maildir:PATH; default maildir:sent")
@click.option("--tenant", default="", help="Microsoft 365: domain or ID of the tenant where an app is registered for rtmail")
@click.option("--client-id", default="", metavar="ID", help="the app's Application (client) ID")
@click.option("--admin", default="", metavar="ADDRESS", help="who hears of trouble; not an address that rtmail receives")
@click.option("--person", "people", type=_Person(), multiple=True, help="a member of staff, the first also manager; may be repeated")
@click.option("--policy", default="default", show_default=True, metavar="NAME", help="which of the shipped policies to promise by")
@click.option("--ask/--no-ask", default=None, help="ask for each value; default: on a terminal, when no value is given")
@click.option("--try/--no-try", "tries", default=True, help="try relay and mailbox afterwards, as rtmail doctor does")
@click.option("--first-mail/--no-first-mail", default=None, help="send a mail to the admin by the relay; default: asked on a terminal")
def init(
    folder: Path, ask: bool | None, tries: bool, first_mail: bool | None, mailbox: str, tenant: str, client_id: str,
    people: tuple[Staff, ...], policy: str, **given: str,
) -> None:
    """Write a commented config into DIR; what exists is left alone.

    Passwords are asked for, or taken from RTMAIL_RELAY_PASSWORD, RTMAIL_IMAP_OFFICE_PASSWORD and RTMAIL_OAUTH_OFFICE_SECRET, and go into
    .env alone. Without the last one, a person logs in at Microsoft 365.
    """
    secrets = {name: os.environ[name] for name in SECRETS if os.environ.get(name)}
    if bool(tenant) is not bool(client_id):
        raise click.UsageError("name both, --tenant and --client-id: the app registration shows them side by side")
    app = App(tenant, client_id, alone=app_secret() in secrets) if tenant else None
    try:
        answers = Answers(mailbox=read_mailbox(mailbox) if mailbox else None, app=app, people=people, policy=policy, **given)
    except ValueError as error:
        raise click.UsageError(f"--mailbox {mailbox}: {error}") from None
    place = folder if folder.resolve().is_relative_to(SYSTEM) else folder / "config"
    target = place / "rtmail.toml"
    state = config.SYSTEM_STATE if place == folder else ""
    unchanged = _unchanged(target, state)
    fresh = unchanged or not target.exists()
    asks = fresh and (bool(ask) or (ask is None and answers == Answers() and sys.stdin.isatty()))
    provider = ""
    if asks:
        try:
            answers, told, provider = asked(answers, lambda some: _wrong(replace(some, state=state), place))
        except click.Abort:
            click.echo("\nnothing written", err=True)
            raise SystemExit(1) from None
        secrets |= told
    if answers.app is None:
        secrets.pop(app_secret(), None)
    try:
        texts, secret = _texts(replace(answers, state=state)), env(secrets)
    except (ValueError, PolicyError) as error:
        raise click.UsageError(str(error)) from None
    if fresh and (problems := _problems(texts, place)):
        for problem in problems:
            click.echo(str(problem), err=True)
        click.echo("nothing written", err=True)
        raise SystemExit(EX_CONFIG)
    files = {**{place / name: (text, 0o644) for name, text in texts.items()}, place / ".env": (secret, 0o600)}
    for path, (text, mode) in files.items():
        written = _written(path, text, mode, over=unchanged and path == target)
        if written and state and path.name == ".env":
            share_secrets(path, Path(state))
        click.echo(f"{'wrote' if written else 'kept '} {path}")
    if fresh and tries and (answers.mailbox or answers.relay):
        # What root makes in trying, the folder of a maildir: relay, is the daemon's to write to.
        with giving_back(Path(state)) if state else nullcontext():
            _try(target, (lambda to: click.confirm(f"Send a first mail to {to}?", default=True)) if asks and first_mail is None
                 else lambda _: bool(first_mail))
    _tell_next(target, provider, logs_in=fresh and answers.app is not None and not answers.app.alone)


def _tell_next(target: Path, provider: str, *, logs_in: bool) -> None:
    """Print the commands that come next, so that they can be pasted as they are: also from a virtual environment, and at once."""
    text = target.read_text("utf-8")
    command = _command()
    named = "" if target == config.LAST_RESORT else f" -c {shlex.quote(str(target))}"
    unit = not named and Path("/run/systemd/system").is_dir()
    queue, admin = _FIRST_QUEUE.search(text), _ADMIN.search(text)
    # A first customer: the admin can look into his mailbox for the answer. Mail in the name of staff would wait to be proved.
    sender = admin[1] if admin and admin[1] not in _PERSON.findall(text) else "customer@example.net"
    click.echo("\nNext:")
    if provider:
        click.echo(f"    {command} snippet {provider}{named}")
    if logs_in:
        click.echo(f"    {command} oauth login {MAILBOX}{named}")
    click.echo(f"    {command} check{named}")
    click.echo("    systemctl enable --now rtmail" if unit else f"    {command} serve{named}")
    click.echo(f"\nThen a mail as a customer writes it{'' if unit else ', from a second terminal'}:")
    click.echo(rf"    printf 'From: %s\nSubject: A try\n\nHello\n' {shlex.quote(sender)} |")
    click.echo(f"    {command} receive{named} --to {shlex.quote(queue[1]) if queue else 'ADDRESS'}")


def _command() -> str:
    """Return how a shell finds this command: by its name, or by the path that it was called by."""
    called = Path(sys.argv[0])
    found = shutil.which("rtmail")
    return "rtmail" if called.name != "rtmail" or (found and Path(found).resolve() == called.resolve()) else shlex.quote(str(called))


def _unchanged(target: Path, state: str) -> bool:
    """Tell whether a file is the example that a package put there."""
    try:
        return bool(state) and target.read_text("utf-8") == example(_shipped("config", target.name), state)
    except (OSError, UnicodeDecodeError):
        return False


def _shipped(kind: str, name: str) -> str:
    file = config.find_shipped(kind, name)
    if file is not None:
        return file.read_text("utf-8")
    if kind == "policies":
        raise click.UsageError(f"no policy {name.removesuffix('.toml')!r} is shipped: name one of {', '.join(config.shipped_policies())}")
    raise click.ClickException(f"this installation lacks {name}: reinstall rtmail")


def _texts(answers: Answers) -> dict[str, str]:
    """Return the files of a config, by their place in its folder. Raises ValueError or PolicyError."""
    name = f"{answers.policy}.toml"
    policy = _shipped("policies", name)
    roles = tuple(schema.parse(policy, name).roles)
    return {"rtmail.toml": filled(_shipped("config", "rtmail.toml"), replace(answers, roles=roles)), f"policies/{name}": policy}


def _problems(texts: Mapping[str, str], place: Path) -> list[Problem]:
    """Return the mistakes that the values make, told as if the files lay in `place` already; passwords may come later."""
    with tempfile.TemporaryDirectory() as scratch:
        trial = Path(scratch).resolve() / "config"

        def there(text: str) -> str:
            return text.replace(str(trial), str(place))

        for name, text in texts.items():
            (trial / name).parent.mkdir(parents=True, exist_ok=True)
            (trial / name).write_text(text, "utf-8")
        try:
            config.load(trial / "rtmail.toml", dict.fromkeys(SECRETS, "given later"))
        except ConfigError as error:
            return [Problem(there(one.file), one.line, there(one.what), there(one.cure)) for one in error.problems]
    return []


def _wrong(answers: Answers, place: Path) -> str:
    """Return the first mistake that these answers make, and its cure; "" when there is none."""
    try:
        return next((f"{one.what}; {one.cure}" for one in _problems(_texts(answers), place)), "")
    except ValueError as error:
        return str(error)


def _try(target: Path, sends: Callable[[str], bool]) -> None:
    """Tell how relay and mailbox let us in; the files stay, whatever they say. `sends`: whether a first mail goes to the admin."""
    from rtmail.cli.doctor import show
    from rtmail.ops.doctor import mailboxes, relay
    from rtmail.ops.doctor.finding import Verdict
    from rtmail.ops.first_mail import first_mail

    click.echo("")
    try:
        found = config.load(target)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        return
    way_out = relay(found, system())
    show(way_out)
    if way_out.verdict is not Verdict.FAIL and not found.relay_url.startswith("maildir:") and sends(found.settings.admin):
        show(first_mail(found, system()))
    for one in mailboxes(found):
        show(one)


def _written(path: Path, text: str, mode: int, *, over: bool) -> bool:
    """Write a file, whole or not at all; False when there is one already that is not to be written over."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new") if over else path
    try:
        descriptor = os.open(draft, os.O_CREAT | os.O_WRONLY | (os.O_TRUNC if over else os.O_EXCL), mode)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
    draft.replace(path)
    return True
