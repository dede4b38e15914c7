"""The desk's rules as a provider of LiteLLM, in the proxy's own process."""

from typing import Any

import litellm
from desk import team_of
from litellm import CustomLLM, ModelResponse


class Desk(CustomLLM):
    """Answers a message with its team."""

    async def acompletion(self, *_args: Any, **kwargs: Any) -> ModelResponse:
        """Give the team as the content of a completion."""
        team = str(team_of(kwargs["messages"][-1]["content"]))
        return litellm.ModelResponse(
            model="desk",
            choices=[
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": team},
                }
            ],
            usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        )


desk = Desk()
