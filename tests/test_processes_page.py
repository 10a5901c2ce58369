"""docs/processes.md names tests that there are, and the policies that it speaks of ship and know no company in the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rtmail.config.policy_names import problems
from rtmail.config.sections import QueueTable, RoleTable, Tables
from rtmail.policy.schema import parse

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "processes.md").read_text("utf-8")
NAMES = ("portacare", "verato", "verj", "interopion", "opscom")


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`(test_\w+)\.py(?:::(\w+))?`", PAGE)
    assert len(named) > 30
    for file, test in named:
        text = (ROOT / "tests" / f"{file}.py").read_text("utf-8")
        assert not test or f"def {test}(" in text, f"{file}.py has no {test}"
    for bare in re.findall(r"`(test_\w+)`", PAGE):
        assert any(f"def {bare}(" in path.read_text("utf-8") for path in (ROOT / "tests").glob("test_story_*.py")), bare


@pytest.mark.parametrize("name", NAMES)
def test_each_policy_ships(name: str) -> None:
    text = (ROOT / "config" / "policies" / f"{name}.toml").read_text("utf-8")
    policy = parse(text, f"{name}.toml")
    assert policy.priorities
    queues = {tier.queue for tier in policy.hand_over.values()} | set(policy.after_hours.queues if policy.after_hours else ())
    house = Tables(roles={role: RoleTable() for role in policy.roles}, queues={queue: QueueTable() for queue in queues})
    assert not problems(policy, f"{name}.toml", house, queues), "the daemon takes it"
    assert f"`{name}.toml`" in PAGE
    assert "(assumed)" in text


def test_no_branch_in_the_code_knows_a_company() -> None:
    company = re.compile("|".join((*NAMES, "ops-com")), re.IGNORECASE)
    telling = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "rtmail").rglob("*.py")
        if company.search(path.read_text("utf-8"))
    }
    assert telling <= {"rtmail/cli/demo.py"}, "the demo shows one policy"
