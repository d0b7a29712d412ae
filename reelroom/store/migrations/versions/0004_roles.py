"""Files of one role are found without going through all segments of a long recording."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_index("files_role", "files", ["recording", "role", "output"], unique=False)
