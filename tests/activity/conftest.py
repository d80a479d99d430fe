"""The activity log is driven through the dispatcher: its parts are the operations room's."""

from tests.operations.conftest import deps, library

__all__ = ["deps", "library"]
