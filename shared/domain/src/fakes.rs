//! Ports in memory and a clock that is set by hand, for tests. They run the same contract suites as the real adapters.
