"""`python -m responder` is the `responder` command."""

from responder.cli import main

main()
