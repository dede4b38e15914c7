"""Who does something on this machine, for the record."""

from __future__ import annotations

import os
import pwd

__all__ = ["this_account"]


def this_account() -> str:
    """Give the name of the account that runs this process, by the operating system alone.

    `getpass.getuser` believes the environment, which whoever is put on record can set.
    """
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # an account without a name
        return f"uid {os.getuid()}"
