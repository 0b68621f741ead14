"""Configurations, indexes and headers of a repository on a model hub (Hugging Face) become facts of the catalog's kind."""
