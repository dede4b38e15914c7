"""Ray Serve, as it is without further settings, with the desk's rules: `python server.py PORT`."""

import os
import sys
import threading
from typing import Any

os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # it would write a token into the home folder

import ray
from desk import team_of
from ray import serve
from starlette.requests import Request


@serve.deployment
class Desk:
    """A text in, a team out."""

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Give the team of the text."""
        return {"answer": team_of((await request.json())["text"])}


ray.init(include_dashboard=False, num_cpus=2, log_to_driver=False)
serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
serve.run(Desk.bind(), name="desk", route_prefix="/")
threading.Event().wait()
