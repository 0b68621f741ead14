"""computers and prices

Revision: 0002, after 0001
"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ('computer', 'price'):
        op.create_table(
            name,
            sa.Column('id', sa.Integer(), nullable=False),
            sa.Column('slug', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
            sa.Column('name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
            sa.Column('live', sa.Boolean(), nullable=False),
            sa.Column('estimated', sa.Boolean(), nullable=False),
            sa.Column('missing_fact', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
            sa.Column('fingerprint', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
            sa.Column('entry_hash', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
            sa.Column('entry', sa.JSON(), nullable=False),
            sa.PrimaryKeyConstraint('id', name=op.f(f'pk_{name}')),
            sa.UniqueConstraint('slug', name=op.f(f'uq_{name}_slug')),
        )
        op.create_index(op.f(f'ix_{name}_name'), name, ['name'], unique=False)


def downgrade() -> None:
    op.drop_table('price')
    op.drop_table('computer')
