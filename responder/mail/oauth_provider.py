"""What the OAuth 2 providers differ in: endpoints, scopes for IMAP and SMTP, where they send people back to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from responder.config import OAuth2


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider's side of the sign-in, with the changes that the configuration makes to it."""

    authorization_url: str  # where a person allows it (RFC 6749 3.1)
    token_url: str  # RFC 6749 3.2
    device_url: str  # RFC 8628 3.1; "": no device flow
    scopes: tuple[str, ...]
    redirect_host: str = "127.0.0.1"  # RFC 8252 7.3 wants the literal
    extra: Mapping[str, str] = field(default_factory=dict)  # more parameters for authorization_url


_GOOGLE = Provider(
    "https://accounts.google.com/o/oauth2/v2/auth",
    "https://oauth2.googleapis.com/token",
    "",  # it exists, but may not ask for mail: "limited-input device" scopes are sign-in, Drive files and YouTube
    ("https://mail.google.com/",),
    # Without consent asked for anew, a second sign-in yields no refresh token.
    extra={"access_type": "offline", "prompt": "consent"},
)


def _microsoft(tenant: str) -> Provider:
    base = f"https://login.microsoftonline.com/{tenant}/oauth2/v2.0"
    return Provider(
        f"{base}/authorize",
        f"{base}/token",
        f"{base}/devicecode",
        (
            "https://outlook.office.com/IMAP.AccessAsUser.All",
            "https://outlook.office.com/SMTP.Send",
            "offline_access",
        ),
        # Its registration form takes http://localhost and then any port, but no http://127.0.0.1.
        redirect_host="localhost",
        extra={"prompt": "select_account"},
    )


def provider_of(config: OAuth2) -> Provider:
    """Return the provider that `config` names."""
    match config.provider:
        case "google":
            usual = _GOOGLE
        case "microsoft":
            usual = _microsoft(config.tenant)
        case "custom":
            usual = Provider("", "", "", ())
    return Provider(
        config.authorization_url or usual.authorization_url,
        config.token_url or usual.token_url,
        config.device_url or usual.device_url,
        config.scopes or usual.scopes,
        usual.redirect_host,
        usual.extra,
    )
