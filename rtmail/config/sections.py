"""The tables and keys of rtmail.toml, with their kinds and defaults.

Every key has a default here, so that a file with mistakes still yields all the rest to be checked; which keys must be
given is told by `REQUIRED`. What each key means to a sysadmin stands in config/rtmail.toml.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from rtmail.config.values import After, AfterReading, Day, Duration, Listen, Mode, Place, Size

Right = Literal["engineer", "manager", "privacy", "admin"]


class Table(BaseModel):
    """A table of the file: no unknown keys, no quiet conversion ("yes" is not true)."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


class SiteTable(Table):
    name: str = ""
    tag: str = ""
    domain: str = ""
    admin: str = ""
    timezone: str = "UTC"
    language: str = "en"
    old_tags: list[str] = []
    detail: Literal["+", "-", "off"] = "+"
    public_domains: list[str] = []
    portal_url: str = ""
    first_number: int = Field(default=1, ge=1, le=4_000_000_000)
    state: str = ""


class StoreTable(Table):
    url: str = "sqlite:///rtmail.db"


class SmtpTable(Table):
    """`hostname` "" means the site's domain."""

    listen: Place = Listen("127.0.0.1", 2525)
    hostname: str = ""
    max_message: Size = 25 * 1024**2
    max_recipients: int = Field(default=1000, ge=1, le=100_000)
    max_connections: int = Field(default=200, ge=1, le=100_000)
    max_connections_per_ip: int = Field(default=10, ge=1, le=100_000)
    max_connections_per_network: int = Field(default=10, ge=1, le=100_000)
    max_bytes_in_flight: Size = 1024**3
    tls_certificate: str = ""
    tls_key: str = ""
    require_tls: bool = False
    auth: bool = False
    proxy: list[str] = []


class LmtpTable(Table):
    listen: Place = Listen("127.0.0.1", 2424)
    mode: Mode = 0o660
    group: str = ""


class ImapTable(Table):
    """`port` 0 means 993, or 143 without implicit TLS; `queue` "" means the first queue."""

    host: str = ""
    port: int = Field(default=0, ge=0, le=65535)
    tls: Literal["implicit", "starttls", "none"] = "implicit"
    ca_file: str = ""
    user: str = ""
    oauth: str = ""
    mailbox: str = "INBOX"
    after: AfterReading = After("flag")
    queue: str = ""
    poll: Duration = timedelta(seconds=60)
    trusted_headers: list[str] = []


class IngressTable(Table):
    trusted_hops: list[str] = ["127.0.0.1/32", "::1/128"]
    smtp: SmtpTable | None = None
    lmtp: LmtpTable | None = None
    imap: dict[str, ImapTable] = {}


class RelayTable(Table):
    """`hostname` "" means the site's domain."""

    url: str = "smtp://127.0.0.1:25"
    user: str = ""
    oauth: str = ""
    hostname: str = ""
    ca_file: str = ""
    verp: bool = True
    precedence: bool = False
    redirect_to: str = ""
    connections: int = Field(default=8, ge=1, le=100)
    retry_for: Duration = timedelta(days=5)
    min_pause: Duration = timedelta(minutes=1)
    max_pause: Duration = timedelta(hours=4)


class CapsTable(Table):
    per_address: int = Field(default=10, ge=1)
    overall: int = Field(default=5000, ge=1)
    window: Duration = timedelta(hours=24)
    per_sender: int = Field(default=100, ge=1)
    per_request: int = Field(default=50, ge=1)
    burst: Duration = timedelta(hours=1)
    fold: Duration = timedelta(minutes=10)
    only_proven: bool = False


class AuthTable(Table):
    trusted_authserv_ids: list[str] = []
    own_checks: bool = False
    trusted_arc_sealers: list[str] = []
    nameservers: list[str] = []


class DkimTable(Table):
    """`domain` "" means the site's domain."""

    key: str = ""
    domain: str = ""


class QueueTable(Table):
    address: str = ""
    comment_address: str = ""
    policy: str = "default"
    assign: Literal["", "round-robin", "duty"] = ""
    duty: str = ""
    crossed: Literal["send", "ask"] = "send"
    pass_on: bool = True
    keep_raw: Duration | None = None
    keep_closed: Duration | None = None
    keep_quarantine: Duration | None = None
    private_data: Literal["off", "warn", "hold", "discard"] = "off"


class DutyTable(Table):
    """Keys of `week` and `dates` are read by `desk.duty`; values are keys of people or roles."""

    timezone: str = ""
    turn: Literal["week", "day"] = "week"
    week: dict[str, list[str]] = {}
    dates: dict[str, list[str]] = {}


class PersonTable(Table):
    name: str = ""
    email: str = ""
    aliases: list[str] = []
    rights: list[Right] = ["engineer"]
    queues: list[str] = []
    page: str = ""
    language: str = ""


class RoleTable(Table):
    person: str = ""
    deputy: str = ""


class ContactTable(Table):
    """A contact with more than an address: `contacts = [{email = "bob@acme.example", roles = ["designated"]}]`."""

    email: str = ""
    name: str = ""
    roles: list[str] = []


def _contact(value: Any) -> Any:
    """A contact that is written as an address alone."""
    return {"email": value} if isinstance(value, str) else value


Contact = Annotated[ContactTable, BeforeValidator(_contact)]


class OrganisationTable(Table):
    """`plan_from` and `plan_until` are the first and the last day of the plan."""

    name: str = ""
    domains: list[str] = []
    contacts: list[Contact] = []
    plan: str = ""
    plan_from: Day | None = None
    plan_until: Day | None = None
    language: str = ""
    timezone: str = ""
    holidays: str = ""
    statement_to: str = ""
    services: list[str] = []


class PlanTable(Table):
    """`contacts` is the most that may have a role; `priorities` what its contacts may name; 0 and None set no limit."""

    name: str = ""
    queues: list[str] = []
    priorities: list[str] | None = None
    contacts: int = Field(default=0, ge=0, le=100_000)
    telephone: str = ""
    billable: bool = False


class SendersTable(Table):
    senders: list[str] = []


class OauthTable(Table):
    """`authority` "" means Microsoft's for the tenant."""

    provider: Literal["microsoft", "google"] = "microsoft"
    flow: Literal["device", "client"] = "device"
    tenant: str = ""
    client_id: str = ""
    key_file: str = ""
    authority: str = ""
    ca_file: str = ""


class LogTable(Table):
    format: Literal["text", "json", "journald"] = "text"
    level: Literal["debug", "info", "warning", "error"] = "info"


class WebTable(Table):
    """`listen` None is nobody who can look."""

    listen: Place | None = None
    mode: Mode = 0o660


class StatusTable(Table):
    """`folder` "" writes no page; `title` "" means the site's name."""

    folder: str = ""
    url: str = ""
    title: str = ""


class CanaryTable(Table):
    """`every` zero is no canary; `queue` "" means the first queue."""

    every: Duration = timedelta(0)
    within: Duration = timedelta(minutes=5)
    queue: str = ""


class HeartbeatTable(Table):
    every: Duration = timedelta(minutes=1)


class MonitorTable(Table):
    """`rule` "" means the shipped rule of the table's own name; `subject` and `recovered` "" mean the rule's."""

    senders: list[str] = []
    rule: str = ""
    subject: str = ""
    recovered: str = ""
    on_recovery: Literal["record", "resolve", "close"] = "record"


class TrackerTable(Table):
    """`key` is the pattern of a bug's number in subjects; "" means JIRA-12 and the like."""

    senders: list[str] = []
    key: str = ""


class JunkTable(Table):
    """`digest` "" writes none; `headers` are patterns by name of header."""

    senders: list[str] = []
    headers: dict[str, str] = {}
    scl: int = Field(default=5, ge=0, le=9)
    digest: str = "08:00"
    keep: Duration = timedelta(days=30)


class StatementsTable(Table):
    """`at` "" sends none."""

    at: str = "08:00"


class Tables(Table):
    """The whole file."""

    site: SiteTable = SiteTable()
    store: StoreTable = StoreTable()
    ingress: IngressTable = IngressTable()
    relay: RelayTable = RelayTable()
    caps: CapsTable = CapsTable()
    auth: AuthTable = AuthTable()
    dkim: dict[str, DkimTable] = {}
    queues: dict[str, QueueTable] = {}
    people: dict[str, PersonTable] = {}
    roles: dict[str, RoleTable] = {}
    duty: dict[str, DutyTable] = {}
    organisations: dict[str, OrganisationTable] = {}
    plans: dict[str, PlanTable] = {}
    machines: SendersTable = SendersTable()
    forms: SendersTable = SendersTable()
    junk: JunkTable = JunkTable()
    statements: StatementsTable = StatementsTable()
    monitoring: dict[str, MonitorTable] = {}
    trackers: dict[str, TrackerTable] = {}
    oauth: dict[str, OauthTable] = {}
    log: LogTable = LogTable()
    web: WebTable = WebTable()
    status: StatusTable = StatusTable()
    canary: CanaryTable = CanaryTable()
    heartbeat: HeartbeatTable = HeartbeatTable()


REQUIRED: Mapping[type[Table], Mapping[str, str]] = {
    MonitorTable: {"senders": '["nagios@mon.example.com"]'},
    TrackerTable: {"senders": '["jira@dev.example.com"]'},
    SiteTable: {"name": '"Example"', "domain": '"example.com"', "admin": '"ops@example.net"'},
    QueueTable: {"address": '"support@example.com"', "comment_address": '"support-comment@example.com"'},
    PersonTable: {"name": '"Jane Doe"', "email": '"jane@example.net"'},
    RoleTable: {"person": '"jane"'},
    OrganisationTable: {"name": '"Acme Ltd"'},
    PlanTable: {"name": '"Premium"'},
    DkimTable: {"key": '"dkim/rtmail.pem"'},
    ImapTable: {"host": '"imap.example.com"', "user": '"support@example.com"'},
}
"""Keys that must be given, each with an example."""
