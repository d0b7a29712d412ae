"""`python -m reelroom.cli`: the same as `reelroom`."""

from reelroom.cli import main

main()
