"""Benchmarks. Each prints what it measured; docs/performance.md keeps the latest figures."""
