"""What others do with the same rows: our own implementations of published rules, and oracles.

A peer sees FIT, SEARCH and CERT rows alike, since it keeps none aside to certify.
"""
