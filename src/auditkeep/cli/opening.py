"""How a command opens the deployment: by its settings and this machine's clock, closed at its end.

What is opened is imported then and no sooner, for `auditkeep --help` has to be quick.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auditkeep.app import Parts
    from auditkeep.ids import Tenant


@contextmanager
def deployment(data: Path) -> Iterator["Parts"]:
    """The deployment's parts."""
    from auditkeep import app
    from auditkeep.clock import SystemClock
    from auditkeep.settings import load

    with app.opened(load(data), SystemClock()) as parts:
        yield parts


@contextmanager
def registered(data: Path, account: str, region: str) -> Iterator[tuple["Parts", "Tenant"]]:
    """The same, and a tenant of it that has registered."""
    from auditkeep.ids import Tenant

    tenant = Tenant(account, region)
    with deployment(data) as parts:
        parts.require_active(tenant)
        yield parts, tenant
