"""`python -m feasible` is the command line."""

from feasible.cli import main

main()
