import sys,tempfile
from pathlib import Path
from . import clock, measure, profile, proc
hz=clock.tsc_hz(); print(hz)
proc.stay_out_of_the_way()
with tempfile.TemporaryDirectory() as d:
    o=measure.Options(2,1,0.5,"ovs" in sys.argv,"limit" in sys.argv,1,hz,Path(d))
    for rig in sys.argv[1].split(","):
        c=profile.Cell("x","forward",rig,profile.Traffic(flows=1000),profile.Rules(),None,())
        r=measure.run_cell(c,o)
        for k,v in r.samples.items(): print(k,[round(x,1) for x in r.values(*k)],[round(s.waited,3) for s in v])
        print(r.remarks)
