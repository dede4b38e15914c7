"""LitServe with the desk's rules: `python server.py PORT`."""

import sys

import litserve
from desk import team_of


class Desk(litserve.LitAPI):
    """A text in, a team out."""

    def setup(self, device: str) -> None:
        """Load nothing: there is no model."""

    def decode_request(self, request: dict[str, str]) -> str:
        """Read the text."""
        return request["text"]

    def predict(self, text: str) -> str | None:
        """Give its team."""
        return team_of(text)

    def encode_response(self, team: str | None) -> dict[str, str | None]:
        """Write the team."""
        return {"answer": team}


if __name__ == "__main__":
    server = litserve.LitServer(Desk(), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        log_level="error",
        generate_client_file=False,
    )
