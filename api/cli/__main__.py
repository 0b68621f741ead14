"""`python -m api.cli` is the command `fitgraph`."""

from api.cli.app import main

main()
