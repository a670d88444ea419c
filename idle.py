import time,os,collections
from pathlib import Path
from bench.rig import running_lab
def sched(pid):
    run=0
    for t in Path(f"/proc/{pid}/task").iterdir():
        try: run+=int((t/"schedstat").read_text().split()[0])
        except OSError: pass
    return run
with running_lab(out_of_band=True) as orch:
    lab=orch.lab; time.sleep(5)
    ps={}
    for p in Path("/proc").glob("[0-9]*"):
        try: c=(p/"cmdline").read_bytes().replace(b"\0",b" ").decode()
        except OSError: continue
        if f"/{lab.name}/" in c and ("ovs" in c or "netwright" in c):
            w=c.split(); ps[int(p.name)]=os.path.basename(w[0])+" "+c.split(f"/{lab.name}/")[1].split("/")[0]
    a={p:sched(p) for p in ps}; time.sleep(6); b={p:sched(p) for p in ps}
    for p in sorted(ps,key=lambda p:a[p]-b[p]): print(f"{(b[p]-a[p])/6e9*100:6.2f}% = {(b[p]-a[p])/6e9*15:.3f} ms in 15 ms  {ps[p]}")
