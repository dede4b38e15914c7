"""LiteLLM's proxy with the desk's rules as a provider: `python server.py PORT`."""

import os
import sys
from pathlib import Path

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would fetch prices otherwise
os.environ["NO_DOCS"] = "True"
os.environ["LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY"] = "true"

from litellm import run_server

config = str(Path(__file__).with_name("config.yaml"))
sys.argv = ["litellm", "--config", config, "--host", "127.0.0.1", "--port", sys.argv[1]]
run_server()
