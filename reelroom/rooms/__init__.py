"""The ingest process: rooms, rings and the bus. Holds no decoder and no muxer."""
