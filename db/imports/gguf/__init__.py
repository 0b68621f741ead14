"""GGUF files: their header, and the facts that it states."""
