"""Pieces of other servers' configs, made for this house: what must stand there so that mail comes in and goes out.

Pure text from the config. docs/postfix.md, docs/exim.md, docs/dovecot.md and docs/oauth.md explain them; with the shipped example config
they are what those pages show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rtmail.config import Config

PIPE = "/usr/local/lib/rtmail/rtmail-receive"
TABLE = "/etc/postfix/rtmail"


def postfix(config: Config) -> str:
    """Return main.cf, the table of addresses, and master.cf where it needs one."""
    transport, master = _postfix_transport(config)
    addresses = _all(config)
    width = max(map(len, addresses))
    lines = ["# main.cf"]
    if config.settings.detail != "off":
        lines += ["# The part of an address behind the delimiter is rtmail's: signed details of replies, links and bounces.",
                  f"recipient_delimiter = {config.settings.detail}", ""]
    lines += [
        "# One table names rtmail's addresses and how mail gets there; an address that is not in it is refused at RCPT.",
        f"# Where {config.settings.domain} has other mailboxes too, see docs/postfix.md.",
        f"relay_domains = {', '.join(_domains(config))}",
        f"relay_recipient_maps = texthash:{TABLE}",
        f"transport_maps = texthash:{TABLE}",
        "",
        "# As in rtmail.toml, [ingress.smtp] max_message.",
        f"message_size_limit = {_limit(config)}",
    ]
    if transport == "rtmail:":
        lines += ["", "# A delivery for each recipient, since an exit code cannot tell them apart."]
        lines += ["rtmail_destination_recipient_limit = 1"]
    lines += ["", f"# {TABLE}; postfix reload after every change", *(f"{address:<{width}}  {transport}" for address in addresses)]
    return "\n".join([*lines, *(["", "# master.cf", *master] if master else [])])


def _postfix_transport(config: Config) -> tuple[str, list[str]]:
    lmtp, smtp = config.ingress.lmtp, config.ingress.smtp
    if lmtp is not None and lmtp.listen.path:
        return f"rtmail-lmtp:unix:{lmtp.listen.path}", [
            "# Debian's own lmtp client is chrooted (fifth column) and cannot see /run.",
            "rtmail-lmtp  unix  -       -       n       -       -       lmtp"]
    if lmtp is not None:
        return f"lmtp:inet:{lmtp.listen}", []
    if smtp is not None:
        return f"smtp:[{smtp.listen.host}]:{smtp.listen.port}", []
    return "rtmail:", [
        "# An empty null_sender and the = keep an empty sender an argument of its own.",
        "rtmail       unix  -       n       n       -       4       pipe",
        f"  flags=q user=rtmail null_sender= argv={PIPE} --to=${{recipient}} --from=${{sender}}",
    ]


def exim(config: Config) -> str:
    """Return a router and its transport."""
    lmtp = config.ingress.lmtp
    local = " : ".join(dict.fromkeys(address.rpartition("@")[0] for address in sorted(_all(config), key=_comment_first(config))))
    suffix = [f"  local_part_suffix = {config.settings.detail}*", "  local_part_suffix_optional"] if config.settings.detail != "off" else []
    lines = ["# In Debian's split configuration: the router to conf.d/router/150_rtmail, the transport to conf.d/transport/30_rtmail.", "",
             "begin routers", "", f"# Before every other router for {config.settings.domain}.", "rtmail:", "  driver = accept",
             f"  domains = {' : '.join(_domains(config))}", f"  local_parts = {local}", *suffix]
    if lmtp is None:
        return "\n".join([*lines, "  transport = rtmail_pipe", "", "begin transports", "",
                          "# What cannot be run, or is killed, is kept (frozen) instead of bounced.", "rtmail_pipe:", "  driver = pipe",
                          f"  command = {PIPE}", "  user = rtmail", "  umask = 077", "  message_prefix =", "  message_suffix =",
                          "  return_fail_output", "  timeout_defer", "  freeze_exec_fail", "  freeze_signal"])
    where = [f"  socket = {lmtp.listen.path}"] if lmtp.listen.path else [
        "  protocol = lmtp", f"  hosts = {lmtp.listen.host}", "  hosts_override", "  allow_localhost", f"  port = {lmtp.listen.port}"]
    return "\n".join([*lines, "  transport = rtmail_lmtp", "", "begin transports", "",
                      "# Without rcpt_include_affixes the signed details would be cut off.", "rtmail_lmtp:",
                      f"  driver = {'lmtp' if lmtp.listen.path else 'smtp'}", *where, "  rcpt_include_affixes"])


def aliases(config: Config) -> str:
    """Return lines for /etc/aliases of an MTA that gives RECIPIENT and SENDER to a command: Postfix's local, Exim's system_aliases."""
    local = list(dict.fromkeys(address.rpartition("@")[0] for address in _all(config)))
    width = max(map(len, local)) + 1
    return "\n".join([
        "# A file of its own, which belongs to the daemon's user, so that the command runs as that user:",
        "#   alias_maps = hash:/etc/aliases, hash:/etc/rtmail/aliases   (main.cf; then postalias /etc/rtmail/aliases)",
        f"#   recipient_delimiter = {config.settings.detail if config.settings.detail != 'off' else ''}".rstrip(),
        f"# {PIPE} is the script of docs/postfix.md, which takes RECIPIENT and SENDER from the environment.",
        "# Sendmail gives no RECIPIENT, and the signed details are lost: let it hand over by SMTP (mailertable) instead.",
        *(f'{name + ":":<{width}} "|{PIPE}"' for name in local)])


def dovecot(config: Config) -> str:
    """Return Dovecot's settings, and the MTA's aliases into the one mailbox that is read."""
    address = next(iter(config.queues.values())).address
    others = [one for one in _all(config) if one != address]
    width = max(map(len, others))
    lines = [f"# conf.d/99-rtmail.conf: {_detailed(config, address)} is delivered to {address}, into INBOX."]
    if config.settings.detail != "off":
        lines.append(f"recipient_delimiter = {config.settings.detail}")
    return "\n".join([*lines, "lmtp_save_to_detail_mailbox = no", "",
                      "# /etc/postfix/rtmail-aliases: virtual_alias_maps = texthash:/etc/postfix/rtmail-aliases",
                      *(f"{one:<{width}}  {address}" for one in others), "", "# rtmail.toml, with RTMAIL_IMAP_OFFICE_PASSWORD in .env",
                      *_mailbox(config, f"imap.{config.settings.domain}", address, 'after = "move:Processed"')])


def microsoft(config: Config) -> str:
    """Return what an admin of Microsoft 365 pastes into Exchange Online PowerShell, and our own tables."""
    address, domain = next(iter(config.queues.values())).address, config.settings.domain
    more = [one for one in _all(config) if one != address]
    added = ", ".join(f'"{one}"' for one in more)
    return "\n".join([
        "# Exchange Online PowerShell: one shared mailbox, with our other addresses, and plus addresses kept as they are",
        f'New-Mailbox -Shared -Name "rtmail" -PrimarySmtpAddress {address}',
        f"Set-Mailbox {address} -EmailAddresses @{{Add={added}}}",
        "Set-OrganizationConfig -DisablePlusAddressInRecipients $false",
        f"Set-CASMailbox {address} -ImapEnabled $true -SmtpClientAuthenticationDisabled $false",
        "# What we send from support+DETAIL@ must be let through as that:",
        "Set-OrganizationConfig -SendFromAliasEnabled $true",
        "",
        "# The daemon by itself: an app registration with Office 365 Exchange Online > IMAP.AccessAsApp and SMTP.SendAsApp,",
        "# its consent, a client secret in .env (RTMAIL_OAUTH_OFFICE_SECRET), and the right to this one mailbox:",
        'New-ServicePrincipal -AppId CLIENT_ID -ObjectId OBJECT_ID -DisplayName "rtmail"',
        f"Add-MailboxPermission -Identity {address} -User OBJECT_ID -AccessRights FullAccess",
        "",
        "# rtmail.toml",
        *_mailbox(config, "outlook.office365.com", address, 'oauth = "office"',
                  'trusted_headers = ["X-MS-Exchange-Organization-AuthAs", "Authentication-Results"]'),
        "",
        "[oauth.office]",
        'flow = "client"                         # or "device": rtmail oauth login office',
        f'tenant = "{domain}"',
        'client_id = "CLIENT_ID"',
        "",
        "[relay]",
        'url = "smtp+starttls://smtp.office365.com:587"',
        f'user = "{address}"',
        'oauth = "office"',
        "verp = false                            # Exchange Online sends as this mailbox only",
    ])


def gmail(config: Config) -> str:
    """Return what Gmail wants: an app password, or in a Workspace a service account; and our own tables."""
    address = next(iter(config.queues.values())).address
    return "\n".join([
        f"# Gmail: let these be aliases of the account {address}; plus addresses reach it as they are:",
        *(f"#   {one}" for one in _all(config) if one != address),
        "# With 2-step verification on, make an app password: https://myaccount.google.com/apppasswords",
        "# and write it as RTMAIL_IMAP_OFFICE_PASSWORD and RTMAIL_RELAY_PASSWORD into .env.",
        "#",
        "# In a Workspace, instead: a service account with domain-wide delegation for https://mail.google.com/ (admin console,",
        "# Security > API controls), its key as google.json (mode 0600) beside the config, and the lines with oauth.",
        "",
        "# rtmail.toml",
        *_mailbox(config, "imap.gmail.com", address, '# oauth = "office"'),
        "",
        "# [oauth.office]",
        '# provider = "google"',
        '# flow = "client"',
        '# key_file = "google.json"',
        "",
        "[relay]",
        'url = "smtp+starttls://smtp.gmail.com:587"',
        f'user = "{address}"',
        '# oauth = "office"',
        "verp = false                            # Gmail sends as this account only",
    ])


MAKE: Mapping[str, Callable[[Config], str]] = {
    "postfix": postfix, "exim": exim, "aliases": aliases, "dovecot": dovecot, "microsoft": microsoft, "gmail": gmail,
}  # fmt: skip


def _all(config: Config) -> list[str]:
    """Return every address that must reach us, in the order of the config."""
    doors = [address for queue in config.queues.values() for address in (queue.address, queue.comment_address)]
    return [*doors, *(f"{box}@{config.settings.domain}" for box in ("postmaster", "abuse"))]


def _domains(config: Config) -> list[str]:
    return list(dict.fromkeys(address.rpartition("@")[2].lower() for address in _all(config)))


def _comment_first(config: Config) -> Callable[[str], bool]:
    """With - as the delimiter a comment address must be looked at before the queue's, of which it seems to be a detail."""
    comments = {queue.comment_address for queue in config.queues.values()}
    return lambda address: config.settings.detail == "-" and address not in comments


def _limit(config: Config) -> int:
    smtp = config.ingress.smtp
    return smtp.max_message if smtp is not None else 25 * 1024**2


def _detailed(config: Config, address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local}{config.settings.detail}DETAIL@{domain}" if config.settings.detail != "off" else address


def _mailbox(config: Config, host: str, user: str, *more: str) -> list[str]:
    return ["[ingress.imap.office]", f'host = "{host}"', f'user = "{user}"', *more]
