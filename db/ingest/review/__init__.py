"""What of the catalog needs a look: differences, lists that others keep, stale facts, names that were not found."""
