"""A monitoring sees the daemon: figures, health, dashboard and rules that name figures which exist; the log in its formats."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from rtmail import config
from rtmail.errors import ConfigError
from rtmail.ops import metrics
from tests.fakes.daemon import Running, free_port, wait_for
from tests.fakes.house import mail
from tests.fakes.needed import program
from tests.fakes.sink import Sink

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "docs" / "examples" / "monitoring"
PAGE = (ROOT / "docs" / "monitoring.md").read_text("utf-8")


def get(port: int, path: str, method: str = "GET") -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path)
    answer = connection.getresponse()
    said = answer.status, answer.read().decode()
    connection.close()
    return said


def figures(port: int) -> dict[str, float]:
    """Every sample, as `name{label="value"}`."""
    status, text = get(port, "/metrics")
    assert status == 200
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{key}="{value}"' for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


class Circle:
    """A relay that hands mail for our queue back to the daemon, as the mail server of a house does, and keeps the rest."""

    def __init__(self, sink: Sink, running: Running) -> None:
        self.sink, self.running, self._stop = sink, running, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Circle:
        self._thread.start()
        return self

    def __exit__(self, *ended: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        done = 0
        while not self._stop.wait(0.05):
            for taken in self.sink.mails[done:]:
                if taken.recipients[0].startswith("support@"):
                    self.running.send(taken.raw, taken.recipients[0], taken.sender)
                done += 1


@contextmanager
def beaten() -> Iterator[tuple[str, list[str]]]:
    """Somebody outside who waits for heartbeats."""
    beats: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            beats.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/ping/0b7c-secret", beats
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_monitoring_sees_a_mail_a_canary_and_the_heartbeat(tmp_path: Path) -> None:
    port = free_port()
    tables = (
        f'[web]\nlisten = "127.0.0.1:{port}"\n[canary]\nevery = "1h"\nwithin = "30m"\n[heartbeat]\nevery = "1s"\n[log]\nformat = "json"\n'
    )
    with Sink() as sink, beaten() as (url, beats):
        running = Running(tmp_path, relay=f"smtp://127.0.0.1:{sink.port}", ingress=tables, environ={"RTMAIL_HEARTBEAT_URL": url})
        with running, Circle(sink, running):
            running.send(mail())
            wait_for(lambda: "rtmail_canary_last_success_timestamp_seconds" in figures(port), told="no canary came back")
            wait_for(lambda: figures(port)['rtmail_mails_total{outcome="event"}'] == 1)
            wait_for(lambda: figures(port)["rtmail_outbox_mails"] == 0)
            seen = figures(port)
            assert seen['rtmail_mails_accepted_total{ingress="smtp"}'] == 2
            assert seen['rtmail_mails_total{outcome="ignored"}'] == 1, "the canary opens nothing"
            assert seen['rtmail_deliveries_total{result="sent"}'] >= 3
            assert seen["rtmail_healthy"] == seen["rtmail_store_up"] == seen["rtmail_relay_up"] == seen["rtmail_daemons"] == 1
            assert seen["rtmail_spool_mails"] == seen["rtmail_quarantined_mails"] == seen["rtmail_canaries_missed_total"] == 0
            assert 0 <= seen["rtmail_canary_answer_seconds"] < 1800
            assert seen['rtmail_promises_overdue{clock="triage"}'] == 0
            status, text = get(port, "/health")
            assert (status, json.loads(text)["status"], json.loads(text)["troubles"]) == (200, "ok", [])
            assert get(port, "/health", "HEAD") == (200, "")
            assert get(port, "/etc/passwd")[0] == 404
            assert get(port, "/metrics", "POST")[0] == 405
            wait_for(lambda: len(beats) > 1)
            wait_for(lambda: "rtmail_heartbeat_last_success_timestamp_seconds" in figures(port))
            running.cli("pause", "outbox")
            wait_for(lambda: json.loads(get(port, "/health")[1])["status"] == "trouble")
            wait_for(lambda: figures(port)['rtmail_paused{what="outbox"}'] == 1)
            names = set(figures(port))
        lines = [json.loads(line) for line in running.told().splitlines()]
    assert {"started", "accepted", "matched", "canary_back", "sent"} <= {line["event"] for line in lines}
    assert "0b7c-secret" not in running.told()
    assert not [
        name
        for name in names
        if name.startswith("rtmail_")
        and f"`{re.sub('_(bucket|sum|count|created)$', '', name.partition('{')[0])}`" not in PAGE
        and not re.search("_created", name)
    ]


def test_a_relay_that_is_down_is_seen_and_the_heartbeat_stops(tmp_path: Path) -> None:
    port, nobody = free_port(), free_port()
    with beaten() as (url, beats):
        tables = f'[web]\nlisten = "127.0.0.1:{port}"\n[heartbeat]\nevery = "1s"\n'
        with Running(tmp_path, relay=f"smtp://127.0.0.1:{nobody}", ingress=tables, environ={"RTMAIL_HEARTBEAT_URL": url}) as running:
            running.send(mail())
            wait_for(lambda: figures(port)["rtmail_relay_up"] == 0)
            health = json.loads(get(port, "/health")[1])
            assert health["status"] == "trouble"
            assert "relay" in health["troubles"][0]
            count = wait_for(lambda: len(beats))
            # One beat may have been under way when the relay failed.
            wait_for(lambda: "relay_down" in running.told())
            before = figures(port)["rtmail_heartbeat_last_success_timestamp_seconds"]
            wait_for(lambda: figures(port)["process_cpu_seconds_total"] and running.cli("audit"))
            assert len(beats) <= count + 1
            assert figures(port)["rtmail_heartbeat_last_success_timestamp_seconds"] == before


def test_a_unix_socket_and_visitors_who_want_something_else(tmp_path: Path) -> None:
    place = tmp_path / "web"
    with Running(tmp_path, ingress=f'[web]\nlisten = "unix:{place}"\nmode = "0600"\n') as running:
        assert place.stat().st_mode & 0o777 == 0o600
        for said in (b"", b"\x16\x03\x01\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nA: " + b"x" * 70_000):
            with socket.socket(socket.AF_UNIX) as visitor:
                visitor.settimeout(60)
                visitor.connect(str(place))
                visitor.sendall(said)
                if said:
                    assert visitor.recv(100) == b""
        with socket.socket(socket.AF_UNIX) as visitor:
            visitor.settimeout(60)
            visitor.connect(str(place))
            visitor.sendall(b"GET /health?x=1 HTTP/1.0\r\n\r\n")
            assert visitor.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")
        assert "event=failed" not in running.told()
    assert not place.exists()


def test_nothing_of_it_is_there_when_it_is_not_wanted(tmp_path: Path) -> None:
    """Neither the library in memory nor the time to import it."""
    unwanted = ("prometheus_client", "http.client", "urllib.request", "rich", "msal")
    code = f"import sys; import rtmail.daemon; print([name for name in {unwanted} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout.strip() == "[]"


NAME = re.compile(r"\b((?:rtmail|process)_[a-z_]+)\b")


def exposed() -> set[str]:
    """Every figure that a daemon can show, as its registry names them."""
    source = (ROOT / "rtmail" / "ops" / "metrics.py").read_text()
    counters = {f"{name}_total" for name in re.findall(r'counter\("(rtmail_\w+)"', source)}
    histograms = {
        f"{name}{part}" for name in re.findall(r'Histogram\(\s*"(rtmail_\w+)"', source) for part in ("", "_bucket", "_sum", "_count")
    }
    gauges = set(re.findall(r'_gauge\(\s*"(rtmail_\w+)"', source))
    return counters | histograms | gauges | {"rtmail_log_lines_dropped_total", "process_resident_memory_bytes"}


def test_every_figure_is_explained() -> None:
    shown = {name for name in exposed() if not name.endswith(("_bucket", "_sum", "_count")) and name.startswith("rtmail_")}
    assert len(shown) > 30
    assert {name for name in shown if f"`{name}`" not in PAGE} == set()
    assert set(re.findall(r"`(rtmail_\w+)`", PAGE)) <= exposed()


@pytest.mark.long
def test_the_rules_are_heard_in_an_outage_and_only_then(tmp_path: Path) -> None:
    """As long as it lasts, from the first count on, and not of what stands still by somebody's word."""
    unpacked = ROOT / ".cache" / "prometheus" / "usr" / "bin" / "promtool"
    tool = str(unpacked) if unpacked.exists() else program("promtool", "prometheus")
    for file in (EXAMPLES / "rtmail.rules.yml", ROOT / "tests" / "alerts.yml"):
        shutil.copy(file, tmp_path)
    ran = subprocess.run([tool, "test", "rules", "alerts.yml"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_what_can_fail_is_counted_from_zero(tmp_path: Path) -> None:
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "rtmail").rglob("*.py"))
    assert set(re.findall(r'failed\(stage="([a-z-]+)"', sources)) - {"pipe"} == set(metrics.STAGES), "pipe is a process of its own"
    port = free_port()
    with Running(tmp_path, ingress=f'[web]\nlisten = "127.0.0.1:{port}"\n'):
        seen = figures(port)
    assert seen['rtmail_deliveries_total{result="failed"}'] == seen['rtmail_failures_total{stage="sweep"}'] == 0
    assert seen['rtmail_mails_total{outcome="quarantined"}'] == seen["rtmail_canary_missing"] == 0


def test_the_dashboard_and_the_rules_name_figures_that_exist() -> None:
    rules = [rule for group in yaml.safe_load((EXAMPLES / "rtmail.rules.yml").read_text())["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) > 10
    for rule in rules:
        named = set(NAME.findall(rule["expr"])) - {"rtmail"}
        assert named <= exposed(), rule["alert"]
        assert rule["annotations"]["do"]
        assert rule["labels"]["severity"] in ("page", "ticket")
    board = json.loads((EXAMPLES / "grafana.json").read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert len(expressions) > 15
    for expression in expressions:
        named = set(NAME.findall(expression))
        assert named, expression
        assert named <= exposed(), expression
    for panel in board["panels"]:
        assert panel["datasource"]["uid"] == "${datasource}"


@pytest.mark.parametrize(("tables", "cure"), [
    ('[web]\nlisten = "0.0.0.0:9925"', "127.0.0.1:9925"),
    ('[canary]\nevery = "10m"\nwithin = "10m"\n', 'within = "5m"'),
    ('[canary]\nevery = "10m"\nqueue = "suport"', "support"),
    ('[canary]\nevery = "10m"', "set [relay] url"),
    ('[heartbeat]\nevery = "0s"', '"1m"'),
    ('[log]\nformat = "xml"', "text"),
])  # fmt: skip
def test_mistakes_are_told_with_their_cure(tmp_path: Path, tables: str, cure: str) -> None:
    running = Running(tmp_path, ingress=tables)
    with pytest.raises(ConfigError) as caught:
        config.load(running.config, {})
    assert any(cure in problem.cure for problem in caught.value.problems), caught.value.problems
    assert all(problem.line > 1 for problem in caught.value.problems)


JOURNAL = """
import sys
from rtmail import log, logwriter
log.JOURNAL = sys.argv[1]
log.set_up("journald", sys.argv[2])
log.sent(outbox=2, ticket=3, recipient="bob@acme.example", text="250 ok")
log.asked(path="/health", status=200)
log.relay_down(text="451 4.3.0 no")
log.flush(30)
"""


@pytest.mark.parametrize(
    ("level", "events"), [("info", ["sent", "relay_down"]), ("debug", ["sent", "asked", "relay_down"]), ("error", ["relay_down"])]
)
def test_the_journal_gets_fields(tmp_path: Path, level: str, events: list[str]) -> None:
    place = tmp_path / "journal"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(place))
        journal.settimeout(30)
        ran = subprocess.run([sys.executable, "-c", JOURNAL, str(place), level], capture_output=True, text=True, timeout=60, check=True)
        entries = [dict(line.split("=", 1) for line in journal.recv(65536).decode().splitlines()) for _ in events]
    assert ran.stderr == ""
    assert [entry["RTMAIL_EVENT"] for entry in entries] == events
    last = entries[-1]
    assert (last["PRIORITY"], last["SYSLOG_IDENTIFIER"], last["RTMAIL_REPLY"]) == ("3", "rtmail", "451 4.3.0 no")
    assert last["MESSAGE"].startswith("event=relay_down reply=")


def test_without_a_journal_lines_stay_text(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", JOURNAL, str(tmp_path / "none"), "info"], capture_output=True, text=True, timeout=60, check=True
    )
    assert [re.search(r"event=(\w+)", line)[1] for line in ran.stderr.splitlines()] == ["sent", "relay_down"]  # type: ignore[index]


def test_json_lines_stay_whole_however_long_they_are(tmp_path: Path) -> None:
    code = (
        'from rtmail import log; log.set_up("json", "info"); '
        'log.put_off(ingress="smtp", peer="\\n\\"", reply="451", why="x" * 9000); log.flush(30)'
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, env={**os.environ})
    (line,) = ran.stderr.splitlines()
    assert len(json.loads(line)["why"]) == 500
