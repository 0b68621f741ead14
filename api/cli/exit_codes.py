"""Exit codes of `fitgraph`; 0 is success, and 2 a wrong command line."""

#: The work failed: a fault in the catalog, a failed run.
FAILED = 1
#: The question has no answer: an unknown name, a missing fact, no engine.
NO_ANSWER = 3
