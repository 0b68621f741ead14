"""Facts from files that others wrote: model configurations and headers of weight files. Everything in them is hostile.

Parsers are pure functions of bytes or parsed JSON, bounded in time and memory, and raise :class:`ImportFactsError`.
"""
