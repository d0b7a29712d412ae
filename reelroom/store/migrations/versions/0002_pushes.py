"""Where the mix of a recording is pushed to, sealed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("recordings", sa.Column("pushes", sa.LargeBinary(), nullable=True))
