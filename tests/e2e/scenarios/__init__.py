"""One file per area; each function with @scenario is one scenario."""
