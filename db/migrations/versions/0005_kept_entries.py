"""entities as readers of another layout know them

Revision: 0005, after 0004
"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'kept_entry',
        sa.Column('layout', sa.Integer(), nullable=False),
        sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('slug', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column('entry_hash', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column('entry', sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint('layout', 'kind', 'id', name=op.f('pk_kept_entry')),
    )


def downgrade() -> None:
    op.drop_table('kept_entry')
