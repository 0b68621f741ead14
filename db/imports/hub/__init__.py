"""Configurations of models on a hub (Hugging Face) become facts of the catalog's kind."""
