"""The smallest configuration, for tests that need settings and no servers."""

from __future__ import annotations

from pathlib import Path

from responder.config import Settings, load
from responder.paths import shipped


def office_settings(directory: Path, more: str = "", content: Path | None = None) -> Settings:
    """Settings of one mailbox `kemenperin`; `more` is further TOML."""
    file = directory / "config.toml"
    file.write_text(
        '[mailboxes.kemenperin]\nunit = "LPSE"\naddress = "helpdesk@lpse.example"\n'
        f'content = "{content or shipped("content")}"\n'
        '[mailboxes.kemenperin.imap]\nhost = "imap.lpse.example"\n'
        f'[mailboxes.kemenperin.smtp]\nhost = "smtp.lpse.example"\n{more}\n'
    )
    return load(file)
