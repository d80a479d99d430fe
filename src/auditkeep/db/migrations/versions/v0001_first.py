"""The first schema: every table as `schema.py` has it.

Until the first release this migration follows `schema.py`; after it, it is frozen and changes
become migrations of their own.
"""

from alembic import op

from auditkeep.db import planning
from auditkeep.db.schema import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    metadata.create_all(op.get_bind())
    planning.tell(op.get_bind())
