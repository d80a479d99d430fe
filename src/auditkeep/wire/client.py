"""The boto3 client for what Auditkeep offers beyond AWS's API: the service `auditkeep`.

botocore makes clients from service models; this hands it ours, which stands beside the generated
types. Nothing is installed and no file of the user's is touched: only the session that is made
here knows the service. For the AWS CLI, `aws configure add-model` takes the same model.
"""

from functools import cache
from importlib.resources import files
from typing import Any

SERVICE = "auditkeep"
_KIND = "service-2"


@cache
def model_text() -> str:
    """The service model, in botocore's language."""
    return (files("auditkeep.wire.models") / f"{SERVICE}.json").read_text(encoding="utf-8")


def client(endpoint_url: str | None = None, session: Any = None, **options: Any) -> Any:
    """A boto3 client; `options` are those of `boto3.client`.

    Without `endpoint_url`, boto3 looks where it always does: `AWS_ENDPOINT_URL_AUDITKEEP`, then the
    profile's `services` section. `session` is a boto3 session whose credentials and profile are to
    be used; its own services stay as they are.
    """
    import boto3  # noqa: PLC0415  # heavy, and nobody but callers of this needs it
    import botocore.session  # noqa: PLC0415

    knowing = botocore.session.Session(
        profile=None if session is None else session._session.profile
    )
    knowing.register_component("data_loader", _loader())
    if session is not None and "aws_access_key_id" not in options:
        knowing._credentials = session.get_credentials()
    region = None if session is None else session.region_name
    made = boto3.Session(botocore_session=knowing, region_name=region)
    return made.client(SERVICE, endpoint_url=endpoint_url, **options)


def _loader() -> Any:
    import json  # noqa: PLC0415

    from botocore.loaders import Loader  # noqa: PLC0415

    class Known(Loader):  # type: ignore[misc]  # botocore is untyped
        """botocore's own loader, and one service more."""

        def list_available_services(self, type_name: str) -> list[str]:
            found: list[str] = super().list_available_services(type_name)
            return sorted({*found, SERVICE}) if type_name == _KIND else found

        def determine_latest_version(self, service_name: str, type_name: str) -> str:
            if (service_name, type_name) == (SERVICE, _KIND):
                return str(json.loads(model_text())["metadata"]["apiVersion"])
            return str(super().determine_latest_version(service_name, type_name))

        def load_service_model(
            self, service_name: str, type_name: str, api_version: str | None = None
        ) -> Any:
            if (service_name, type_name) == (SERVICE, _KIND):
                return json.loads(model_text())
            return super().load_service_model(service_name, type_name, api_version)

    return Known(include_default_search_paths=True)
