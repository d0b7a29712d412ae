"""The vendor's own Python client (agora_rest_client), pointed at a test's server."""

from __future__ import annotations

from typing import Any

from tests.clients.agora_calls import APPID, CUSTOMER, SECRET
from tests.servers import Server


def individual(running: Server, region: str | None = None, secret: str = SECRET) -> Any:
    """The client of mode individual as it comes, except that its host names, which are fixed in it, are this
    server's address."""
    from agora_rest_client.services.cloud_recording.v1.individual_recording import individual_recording_client

    return _pointed(individual_recording_client.IndividualRecordingClient, running, region, secret)


def mix(running: Server) -> Any:
    """The same of mode mix."""
    from agora_rest_client.services.cloud_recording.v1.mix_recording import mix_recording_client

    return _pointed(mix_recording_client.MixRecordingClient, running, None, SECRET)


def _pointed(kind: Any, running: Server, region: str | None, secret: str) -> Any:
    from agora_rest_client.core.domain import Domain, EndpointRegion

    class Here(Domain):
        def run(self, logger: Any) -> None:  # the original resolves the vendor's hosts, for ever
            self.set_logger(logger)

        def get_domain_list(self) -> list[str]:
            return [running.url.removeprefix("http://")]

    class Client(kind):
        def get_api_url(self, *args: Any, **named: Any) -> str:
            return str(super().get_api_url(*args, **named)).replace("https://", "http://", 1)

    builder = Client().with_app_id(APPID).with_credential_basic_auth(CUSTOMER, secret)
    return builder.with_domain(Here(EndpointRegion.US.value, region)).build()
