"""Whole-switch benchmarks: what `scripts/bench` runs.

`profile` reads what to measure, `traffic` and `rules` make it, `rig`, `millrace`, `ovs` and `testpmd` run it, `measure`
alternates between them, `report` and `chart` say what came out. Whatever is started is entered in an exit stack first,
so that it is ended whichever way the script ends.
"""
