"""The name of this process among the nodes that share a database, and whether another one still lives."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def this_node() -> str:
    """Return "host:pid.start": unique also when a pid is used again after a crash."""
    return f"{socket.gethostname()}:{os.getpid()}.{_start_time(os.getpid())}"


def host_prefix(node: str) -> str:
    """What the names of all nodes on the same host begin with."""
    return node.rpartition(":")[0] + ":"


def is_dead(node: str, here: str) -> bool:
    """Whether `node` is a process of the host of `here` that no longer runs. Other hosts cannot be judged."""
    if host_prefix(node) != host_prefix(here):
        return False
    pid, _, start = node.rpartition(":")[2].partition(".")
    return not pid.isdecimal() or _start_time(int(pid)) != start


def _start_time(pid: int) -> str:
    """Start time of a process in clock ticks since boot (proc(5), field 22); "" when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]
