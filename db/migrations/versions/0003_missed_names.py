"""names that were asked for and not found

Revision: 0003, after 0002
"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'missed_name',
        sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column('count', sa.Integer(), nullable=False),
        sa.Column('first_day', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column('last_day', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.PrimaryKeyConstraint('kind', 'name', name=op.f('pk_missed_name')),
    )


def downgrade() -> None:
    op.drop_table('missed_name')
