"""An office: one mailbox with everything that is needed to answer its mail."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from responder.classifier.decision import MODEL_FILE, Classifier
from responder.classifier.labelled import LabelledText
from responder.config import MailboxConfig, Settings
from responder.errors import ConfigError
from responder.files import Stamp, stamps
from responder.knowledge.load import load_topics
from responder.knowledge.topic import Topic
from responder.mail.addresses import mailbox_key
from responder.replies.freeze import Letterhead
from responder.replies.render import Office as OfficeText
from responder.replies.render import Renderer
from responder.tickets.erasure import Pseudonyms

if TYPE_CHECKING:
    from responder.classifier.model import Model

log = structlog.get_logger("responder.office")

KEY_BYTES = 32

_LOADED = ("topics", "renderer", "classifier")
"""What an office loads on first use from the files whose stamps it keeps."""


@dataclass(frozen=True)
class Office:
    """One served mailbox. Topics, templates and the model are loaded on first use: an idle poll needs none."""

    name: str
    config: MailboxConfig
    settings: Settings
    key: bytes = field(repr=False)
    labelled: Callable[[], Sequence[LabelledText]] = field(default=tuple, repr=False)  # verdicts of staff
    _files: frozenset[Stamp] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Before anything is loaded: what changes while it is read is then noticed.
        object.__setattr__(self, "_files", self._files_now())

    def refreshed(self) -> Office:
        """This office, or one that reads everything anew when content, templates or the model have changed."""
        return self if self._files == self._files_now() else replace(self)

    def taking_over(self, earlier: Office | None) -> Office:
        """This office, with what `earlier` has loaded if that was read from the same files and they are as they were.

        A model in memory twice at each reload of a configuration is room that a long-lived process does not get back.
        """
        if earlier is not None and earlier._files == self._files:
            loaded = {name: earlier.__dict__[name] for name in _LOADED if name in earlier.__dict__}
            self.__dict__.update(loaded)
        return self

    def _files_now(self) -> frozenset[Stamp]:
        return stamps(self.config.content, self.config.templates, self.model_file)

    @cached_property
    def topics(self) -> dict[str, Topic]:
        return load_topics(self.config.content)

    @cached_property
    def renderer(self) -> Renderer:
        return Renderer(self.config.templates)

    @cached_property
    def classifier(self) -> Classifier:
        from responder.classifier.model import load_or_train

        return load_or_train(
            self.config.content,
            self.model_file.parent,
            self.labelled,
            self.settings.policy.target_error,
            lambda why: log.info("training the classifier", mailbox=self.name, why=str(why)),
        )

    @property
    def model_file(self) -> Path:
        return self.settings.state.directory / "models" / self.name / MODEL_FILE

    def train(self) -> Model:
        """Train on content/ and on the verdicts of staff, and store the model."""
        from responder.classifier.train import train

        model = train(self.config.content, self.labelled(), self.settings.policy.target_error)
        model.save(self.model_file)
        return model

    @property
    def text(self) -> OfficeText:
        """How the office presents itself in a reply."""
        return OfficeText.of(self.config, self.settings.service)

    @property
    def letterhead(self) -> Letterhead:
        return Letterhead(
            name=self.config.unit,
            address=self.config.address,
            key=self.key,
            precedence_bulk=self.settings.policy.precedence_bulk,
            plus_addressing=self.config.plus_addressing,
        )

    @cached_property
    def pseudonyms(self) -> Pseudonyms:
        """What stands for people and Message-IDs of tickets whose content was erased."""
        return Pseudonyms(self.key, mailbox_key)

    @property
    def envelope_from(self) -> str:
        return self.config.envelope_from or self.config.address


def offices(
    settings: Settings,
    labelled: Callable[[str], Sequence[LabelledText]] = lambda _mailbox: (),
    *,
    signing: bool = True,
) -> dict[str, Office]:
    """Return every configured office by name; `labelled` gives the verdicts that a mailbox's model learns from.

    Without `signing` no reply can be made and no secret is needed: for previews, training and explanations.
    Raises ConfigError when the secret key is missing or too weak.
    """
    key = read_key(settings.state.secret_key_file) if signing else b""
    return {
        name: Office(name, config, settings, key, partial(labelled, name))
        for name, config in settings.mailboxes.items()
    }


def read_key(path: Path) -> bytes:
    """Return the installation's secret key. Raises ConfigError, saying how to make one."""
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        raise ConfigError(f"{path}: no secret key; `responder init` makes one") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot use the secret key: {error}") from error
    if len(key) < KEY_BYTES:
        raise ConfigError(f"{path}: the secret key has {len(key)} bytes, {KEY_BYTES} are needed")
    return key


def make_key(path: Path) -> bool:
    """Make a secret key with mode 0600 unless there is one; return whether it was made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(KEY_BYTES) + "\n")
    return True
