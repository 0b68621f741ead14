"""Parts of the catalog that need a look: differences, lists that others keep, stale facts, names that were not found."""
