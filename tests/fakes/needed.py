"""What a test does where a real server cannot be had: it fails under CI=true and is skipped by name elsewhere."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def lacking(why: str) -> NoReturn:
    """End the test with the reason."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


def program(name: str, package: str) -> str:
    """Return the path of a Debian program, /usr/sbin included; ends the test when it is not there."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    return found or lacking(f"{name} is missing: apt-get install {package}")
