"""The files of deploy/ are accepted by what will read them, and name commands and files that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from responder.cli import app
from tests.needs import needs

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    analyze = needs("systemd-analyze", "systemd")
    for unit in DEPLOY.glob("lpse-responder*.*"):
        text = unit.read_text(encoding="utf-8")
        (tmp_path / unit.name).write_text(
            text.replace("/opt/lpse-responder/bin/responder", "/bin/true"), encoding="utf-8"
        )
    done = subprocess.run(
        [analyze, "verify", *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_nginx_accepts_its_example(tmp_path: Path) -> None:
    nginx, openssl = needs("nginx", "nginx-light"), needs("openssl", "openssl")
    certificate, key = tmp_path / "fullchain.pem", tmp_path / "privkey.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=helpdesk.instansi.example",
         "-days", "2", "-keyout", str(key), "-out", str(certificate)],
        capture_output=True,
        check=True,
    )  # fmt: skip
    site = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    site = site.replace("/etc/letsencrypt/live/helpdesk.instansi.example", str(tmp_path))
    (tmp_path / "site.conf").write_text(site, encoding="utf-8")
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{ access_log off; include {tmp_path}/site.conf; }}\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [nginx, "-t", "-q", "-e", str(tmp_path / "log"), "-c", str(tmp_path / "nginx.conf")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "name", ["crontab", "lpse-responder.service", "lpse-responder-poll.service", "Dockerfile"]
)
def test_every_command_that_is_started_exists(name: str) -> None:
    text = (DEPLOY / name).read_text(encoding="utf-8")
    started = set(re.findall(r"bin/responder (\w+)", text)) | set(re.findall(r'^CMD \["(\w+)"\]', text, re.M))
    known = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    assert started
    assert started <= known


def test_the_image_copies_what_the_wheel_is_built_from() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    build = text.split("FROM ")[1]
    for words in re.findall(r"^COPY (.+)$", build, re.M):
        for source in words.split()[:-1]:
            assert (ROOT / source).exists(), source
    forced = re.findall(r'^"(\S+)" = "responder/_default', (ROOT / "pyproject.toml").read_text("utf-8"), re.M)
    for source in forced:
        assert re.search(rf"^COPY .*\b{re.escape(source)}\b", build, re.M), source


def test_compose_keeps_everything_off_the_network_but_loopback() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert services["responder"]["cap_drop"] == ["ALL"]
