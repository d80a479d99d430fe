"""The composition root: settings in, parts out. Every part is built once, here, and handed on."""

from auditkeep.app.anchored import anchored, invite
from auditkeep.app.parts import Parts, open_parts, opened
from auditkeep.app.public import hand_out_checkpoint, log_key
from auditkeep.app.service import Service
from auditkeep.app.setup import Elsewhere, Initialised, initialise

__all__ = [
    "Elsewhere",
    "Initialised",
    "Parts",
    "Service",
    "anchored",
    "hand_out_checkpoint",
    "initialise",
    "invite",
    "log_key",
    "open_parts",
    "opened",
]
