"""What goes on around a running service for hours: vendors write, staff decide, monitoring looks, servers go away."""

from __future__ import annotations

import json
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.cookiejar import CookieJar
from typing import Any, Self
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, Request, build_opener

from sqlalchemy import select

from bench.office import NAMES, BenchOffice
from responder.tickets import accounts, api_tokens, switches
from responder.tickets.models import TopicLevel
from responder.tickets.models_staff import Role

TICK_SECONDS = 0.1
LOOK_SECONDS = 3.0  # monitoring asks more seldom; a browser that polls a queue does not
DECIDE_SECONDS = 1.0
AT_A_TIME = 20  # rows of a queue that an officer looks through
ANSWER_SECONDS = 30
ACCOUNT, PASSWORD = "petugas-uji", "kuda-laut-berenang-7"


class Actor(ABC):
    """Something that happens again and again in a thread of its own, from `with` to its end."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)
        self.failure: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._every):
                self.act()
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs into the verdict
            self.failure = error

    @abstractmethod
    def act(self) -> None: ...


class Vendors(Actor):
    """Deliver mails at a rate; after a pause of this process what is due comes at once."""

    def __init__(self, office: BenchOffice, per_second: float) -> None:
        super().__init__(TICK_SECONDS)
        self._office = office
        self._per_second = per_second
        self._began = time.monotonic()
        self.delivered_at: dict[int, float] = {}  # number of the mail → time.time()

    def act(self) -> None:
        due = int((time.monotonic() - self._began) * self._per_second)
        while len(self.delivered_at) < due:
            # Before it is there: the service may be faster than the next line.
            self.delivered_at[len(self.delivered_at)] = time.time()
            self._office.deliver(1)


@dataclass
class Site:
    """The pages and the API of the service, as one program or browser uses them."""

    address: str
    token: str = ""
    answers: Counter[str] = field(default_factory=Counter)  # "GET /antrean 200" → how often
    slowest: float = 0.0
    _opener: OpenerDirector = field(init=False)

    def __post_init__(self) -> None:
        self._opener = build_opener(HTTPCookieProcessor(CookieJar()))

    def log_in(self) -> None:
        self.ask("/masuk", form={"nama": ACCOUNT, "sandi": PASSWORD, "lanjut": "/antrean"})

    def ask(self, path: str, *, form: dict[str, str] | None = None, body: object = None) -> bytes:
        """Return what is answered; b"" for a status of failure, which is counted."""
        data = urlencode(form).encode() if form else json.dumps(body).encode() if body is not None else None
        headers = {"Origin": self.address}
        if path.startswith("/api/"):
            headers |= {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = Request(self.address + path, data, headers)
        began = time.monotonic()
        content = b""
        try:
            with self._opener.open(request, timeout=ANSWER_SECONDS) as answer:
                content, status = answer.read(), str(answer.status)
        except HTTPError as error:
            status = str(error.code)
            error.close()
        except (URLError, OSError) as error:
            status = type(error).__name__
        self.slowest = max(self.slowest, time.monotonic() - began)
        kind = "/".join(part for part in path.split("?")[0].split("/") if not part.isdigit())
        self.answers[f"{request.get_method()} {kind} {status}"] += 1
        return content

    def json(self, path: str, body: object = None) -> dict[str, Any]:
        content = self.ask(path, body=body)
        found: dict[str, Any] = json.loads(content) if content else {}
        return found


class Staff(Actor):
    """An officer who approves a waiting draft a second, each after having opened its ticket."""

    def __init__(self, site: Site) -> None:
        super().__init__(DECIDE_SECONDS)
        self.site = site
        self.approved = 0
        self._seen: list[int] = []

    def act(self) -> None:
        if not self._seen:
            page = self.site.json(f"/api/v1/queues/to_approve?limit={AT_A_TIME}")
            self._seen = [row["ticket"] for row in page.get("rows", ())]
        if not self._seen:
            return
        ticket = self._seen.pop(0)
        draft = self.site.json(f"/api/v1/tickets/{ticket}").get("draft")
        if draft is not None:
            wish = {"reply": draft["id"], "sha256": draft["sha256"]}
            self.approved += bool(self.site.json(f"/api/v1/tickets/{ticket}/approve", wish))


class Monitoring(Actor):
    """Prometheus, and a browser that stays on a queue."""

    PATHS = ("/metrics", "/readyz", "/antrean")

    def __init__(self, site: Site) -> None:
        super().__init__(LOOK_SECONDS)
        self.site = site

    def act(self) -> None:
        for path in self.PATHS:
            self.site.ask(path)


def open_account(office: BenchOffice) -> str:
    """Make the account of `Site.log_in`; return an API token of it."""
    now = datetime.now(UTC)
    database = office.database()
    with database.begin() as connection:
        accounts.add(connection, ACCOUNT, Role.OFFICER, PASSWORD, "bench", now)
        token = api_tokens.add(connection, ACCOUNT, "soak", timedelta(days=2), "bench", now).token
    database.close()
    return token


def leave_some_to_staff(office: BenchOffice) -> None:
    """Every second topic that answers by itself goes back to review, so that drafts wait for approval."""
    database = office.database()
    with database.begin() as connection:
        for slug in sorted(connection.scalars(select(TopicLevel.slug).distinct()))[::2]:
            switches.set_level(connection, NAMES[0], slug, switches.REVIEW, "bench", datetime.now(UTC))
    database.close()
