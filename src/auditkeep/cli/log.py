"""`auditkeep log …`: what an auditor is handed."""

from auditkeep.cli.options import Data


def key(*, data: Data) -> int:
    """The log's public key, to hand to an auditor by a way you both trust."""
    from auditkeep import app
    from auditkeep.settings import load

    print(app.log_key(load(data)))
    return 0


def checkpoint(*, data: Data) -> int:
    """The newest signed checkpoint: hand it out often, it fixes everything logged so far."""
    from auditkeep import app
    from auditkeep.settings import load

    print(app.hand_out_checkpoint(load(data)), end="")
    return 0
