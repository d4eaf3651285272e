"""A differential run: our tracer beside the real ovn-trace, on what the real ovn-northd made of random networks.

`topology` and `services` make networks, `microflow` makes packets for them, `real` and `ours` trace these,
`compare` says whether the answers are the same. `nbctl` asks the real ovn-nbctl, and `nbctl_diff` what it makes of the
lines of `nbctl_lines`, for a test of ours.
"""
