"""From journals to files: MP4, WebM, FLV, AAC, MP3, Ogg and playlists. Knows nothing of rooms or storage."""
