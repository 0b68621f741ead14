"""Catalog files, tables and stores."""
