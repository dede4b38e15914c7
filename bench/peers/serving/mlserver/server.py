"""MLServer with the desk's rules as a model: `python server.py PORT`."""

import asyncio
import sys
from typing import List  # noqa: UP035  MLServer knows no codec for `list`

from desk import team_of
from mlserver import MLModel, MLServer
from mlserver.codecs import decode_args
from mlserver.settings import ModelParameters, ModelSettings, Settings


class Desk(MLModel):
    """Texts in, teams out, over the V2 inference protocol."""

    @decode_args
    async def predict(self, text: List[str]) -> List[str]:  # noqa: UP006  as above
        """Give the team of each text."""
        return [str(team_of(one)) for one in text]


async def main() -> None:
    """Serve in this process: a pool of workers costs throughput on one core."""
    settings = Settings(
        host="127.0.0.1",
        http_port=int(sys.argv[1]),
        grpc_port=int(sys.argv[1]) + 1,
        metrics_port=int(sys.argv[1]) + 2,
        parallel_workers=0,
        debug=False,
    )
    server = MLServer(settings)
    model = ModelSettings(name="desk", implementation=Desk, parameters=ModelParameters())
    await server.start(models_settings=[model])


asyncio.run(main())
