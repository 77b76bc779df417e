"""What verbs do besides steps: `run`, a single step, `doctor`, `init`, `demo` and others."""
