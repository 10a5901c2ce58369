"""What takes longest begins first, or one worker would be at it when the others have ended."""

from __future__ import annotations

import pytest

SLOWEST = ("test_siege", "test_kill", "test_failpoints", "test_store_ground", "test_private_data", "test_story_portacare",
           "test_story_incidents_daemon", "test_story_interopion", "test_imap_dovecot", "test_demo", "test_systemd")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {stem: place for place, stem in enumerate(SLOWEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))
