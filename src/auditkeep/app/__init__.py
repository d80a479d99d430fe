"""The composition root: settings in, parts out. Every part is built once, here, and handed on."""

from auditkeep.app.parts import Parts, open_parts, opened
from auditkeep.app.public import log_key, published_checkpoint
from auditkeep.app.service import Service
from auditkeep.app.setup import Initialised, initialise

__all__ = [
    "Initialised",
    "Parts",
    "Service",
    "initialise",
    "log_key",
    "open_parts",
    "opened",
    "published_checkpoint",
]
