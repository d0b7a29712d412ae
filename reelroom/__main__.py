"""`python -m reelroom`: the same as `reelroom`."""

from reelroom.cli import main

main()
