"""Email ticket auto-responder for an LPSE helpdesk: right, or silent; never lost, never twice."""

__version__ = "0.1.0"
