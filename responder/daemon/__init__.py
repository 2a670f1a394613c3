"""The daemon: rounds, jobs and pages until asked to stop.

Nothing that goes wrong in a round or a job ends the service: server, database, disk and clock may come back at any
time.
"""

from responder.daemon.service import Service, serve

__all__ = ["Service", "serve"]
