import os,sys
os.environ["OOB"]="1"; os.environ["ALONE"]="1"
src=open('/tmp/wt/add-tmp/child.py').read().split('with programs()')[0]
exec(src)
from netwright.lab.processes import find, log_path
from netwright.lab.services import AGENT
with programs() as (fe,_), running_lab() as orch:
    lab=orch.lab; cfg=pods_on(orch,"host1",["blue"])
    netns.create([lab.namespace("ct-0")])
    import subprocess
    try:
        p=subprocess.run([fe],input=json.dumps(cfg).encode(),env={"CNI_COMMAND":"ADD","CNI_CONTAINERID":"x","CNI_NETNS":str(netns.FOLDER/lab.namespace("ct-0")),"CNI_IFNAME":"eth0"},capture_output=True)
        print(p)
        print(log_path(lab, find(lab, 'host1', AGENT)).read_text()[-1500:])
    finally: netns.delete([lab.namespace("ct-0")])
