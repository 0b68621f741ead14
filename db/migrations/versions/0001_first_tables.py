"""first tables

Revision: 0001, after , 2026-11-23 14:52:42.640865
"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy import Text

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('catalog_revision',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('revision', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('run_id', sa.Integer(), nullable=False),
    sa.Column('published_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_catalog_revision'))
    )
    op.create_index(op.f('ix_catalog_revision_revision'), 'catalog_revision', ['revision'], unique=False)

    _create_entity_table('engine')
    op.create_table('generation',
    sa.Column('id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('run_id', sa.Integer(), nullable=False),
    sa.Column('revision', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('fit_table', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('layout', sa.Integer(), nullable=False),
    sa.Column('rows', sa.BigInteger(), nullable=False),
    sa.Column('cells', sa.BigInteger(), nullable=False),
    sa.Column('unsupported_cells', sa.BigInteger(), nullable=False),
    sa.Column('models', sa.Integer(), nullable=False),
    sa.Column('gpus', sa.Integer(), nullable=False),
    sa.Column('quants', sa.Integer(), nullable=False),
    sa.Column('workloads', sa.Integer(), nullable=False),
    sa.Column('published_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('retired_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_generation'))
    )
    _create_entity_table('gpu',
        sa.Column('vendor', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column('architecture', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column('memory_gb', sa.Float(), nullable=True),
        sa.Column('bandwidth_gbps', sa.Float(), nullable=True),
        sa.Column('release_date', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column('msrp_usd', sa.Float(), nullable=True),
        indexed=('bandwidth_gbps', 'memory_gb', 'release_date', 'vendor'),
    )
    _create_entity_table('host')
    _create_entity_table('model',
        sa.Column('family', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column('publisher', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column('license', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column('params_total_b', sa.Float(), nullable=True),
        sa.Column('params_active_b', sa.Float(), nullable=True),
        sa.Column('release_date', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column('context_length', sa.Integer(), nullable=True),
        sa.Column('moe', sa.Boolean(), nullable=False),
        indexed=('family', 'params_total_b', 'publisher', 'release_date'),
    )
    op.create_table('published_input',
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('entity_id', sa.Integer(), nullable=False),
    sa.Column('fingerprint', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.PrimaryKeyConstraint('kind', 'entity_id', name=op.f('pk_published_input'))
    )
    _create_entity_table('quant')
    op.create_table('run',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('active', sa.Integer(), nullable=True),
    sa.Column('revision', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('generation', sa.Integer(), nullable=False),
    sa.Column('cause', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('rebuild', sa.Boolean(), nullable=False),
    sa.Column('inputs', sa.JSON(), nullable=False),
    sa.Column('blocks_total', sa.Integer(), nullable=False),
    sa.Column('cells_total', sa.BigInteger(), nullable=False),
    sa.Column('error', sa.Text(), nullable=True),
    sa.Column('publish_token', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('publish_lease_until', sa.Float(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('blocks_done', sa.Integer(), nullable=False),
    sa.Column('blocks_failed', sa.Integer(), nullable=False),
    sa.Column('cells_done', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_run')),
    sa.UniqueConstraint('active', name=op.f('uq_run_active'))
    )
    op.create_table('staged_entry',
    sa.Column('run_id', sa.Integer(), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('entity_id', sa.Integer(), nullable=False),
    sa.Column('values', sa.JSON(), nullable=True),
    sa.PrimaryKeyConstraint('run_id', 'kind', 'entity_id', name=op.f('pk_staged_entry'))
    )
    _create_entity_table('workload',
        sa.Column('slot', sa.Integer(), nullable=True),
    )
    op.create_table('run_block',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('run_id', sa.Integer(), nullable=False),
    sa.Column('ordinal', sa.Integer(), nullable=False),
    sa.Column('model_ids', sa.JSON(), nullable=False),
    sa.Column('gpu_ids', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('cells', sa.BigInteger(), nullable=False),
    sa.Column('rows_written', sa.BigInteger(), nullable=False),
    sa.Column('unsupported_cells', sa.BigInteger(), nullable=False),
    sa.Column('state', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('lease_token', sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column('lease_until', sa.Float(), nullable=True),
    sa.Column('error', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['run_id'], ['run.id'], name=op.f('fk_run_block_run_id_run')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_run_block')),
    sa.UniqueConstraint('run_id', 'ordinal', name=op.f('uq_run_block_run_id_ordinal'))
    )
    op.create_index('ix_run_block_open', 'run_block', ['run_id', 'state'], unique=False)


def _create_entity_table(name: str, *columns: sa.Column, indexed: tuple[str, ...] = ()) -> None:
    """A table of catalog entities with ``columns`` of its own; the name and the ``indexed`` columns have an index."""
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
        *columns,
        sa.Column('entry', sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f(f'pk_{name}')),
        sa.UniqueConstraint('slug', name=op.f(f'uq_{name}_slug')),
    )
    for column in ('name', *indexed):
        op.create_index(op.f(f'ix_{name}_{column}'), name, [column], unique=False)


def downgrade() -> None:
    for table in (
        'run_block', 'workload', 'staged_entry', 'run', 'quant', 'published_input',
        'model', 'host', 'gpu', 'generation', 'engine', 'catalog_revision',
    ):
        op.drop_table(table)
