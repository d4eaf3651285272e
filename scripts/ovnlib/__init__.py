"""A differential run: our tracer beside the real ovn-trace, on what the real ovn-northd made of random networks.

`topology` and `services` make networks, `microflow` makes packets for them, `real` and `ours` trace these,
`compare` says whether the answers are the same.
"""
