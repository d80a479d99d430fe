"""This process's AWS credentials, wherever botocore finds them: environment, profile, role.

botocore renews what ends, ten minutes before at the latest; so whoever asks again within ten
minutes never signs with credentials that are over. botocore is imported when it is first asked.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from auditkeep.errors import StoreAway

if TYPE_CHECKING:
    from obstore.store import S3Credential

FOR = timedelta(minutes=10)


class Ambient:
    """One session of botocore's, and what obstore signs with: called for each new signature."""

    def __init__(self) -> None:
        from botocore.session import Session  # noqa: PLC0415 - heavy

        self.session: Any = Session()
        self._found: Any = self.session.get_credentials()
        if self._found is None:
            raise StoreAway(
                "Objects are to lie in S3, but this process has no AWS credentials: give it a "
                "role, a profile (AWS_PROFILE) or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            )

    @property
    def region(self) -> str:
        """Of the process's AWS configuration; empty if it has none."""
        return str(self.session.get_config_variable("region") or "")

    def __call__(self) -> "S3Credential":
        found = self._found.get_frozen_credentials()
        return {
            "access_key_id": found.access_key,
            "secret_access_key": found.secret_key,
            "token": found.token,
            "expires_at": datetime.now(UTC) + FOR,
        }
