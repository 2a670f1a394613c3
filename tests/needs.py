"""What a test needs of the machine, said plainly where it is missing."""

from __future__ import annotations

import os
import shutil

import pytest


def needs(program: str, package: str) -> str:
    """Return the path of `program`; without it skip, or fail in CI, so that a test cannot vanish unseen."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        reason = f"{program} is not installed (Debian package {package})"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found
