"""One file an experiment, each with its EXPERIMENT; found by listing this folder."""
