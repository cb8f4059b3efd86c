"""A Slurm of one node on this machine, for the time of the tests that need it.

It needs the Debian packages slurmctld, slurmd, slurm-client and munge, and root.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")
SECONDS = 60
CONFIGURATION = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,batch_sched_delay=0
KillWait=2
ReturnToService=2
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=4000 State=UNKNOWN
PartitionName=tests Nodes={host} Default=YES MaxTime=1:00:00 State=UP
"""


@pytest.fixture(scope="session")
def slurm(tmp_path_factory):
    """Path of the configuration of a running Slurm, which its commands use."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no Slurm here: {', '.join(missing)} not installed")
    if os.geteuid() != 0:
        pytest.skip("Slurm of the tests needs root")
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        folder = Path(stack.enter_context(_short_folder()))
        configuration = _configure(folder)
        patch.setenv("SLURM_CONF", str(configuration))
        for command in _daemons(folder):
            stack.enter_context(_running(command, folder))
        wait_for(lambda: "idle" in output("sinfo", "--noheader", "--format=%T"))
        yield configuration


def output(*command):
    """Output of a command of Slurm; empty if it fails."""
    answer = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    return answer.stdout if answer.returncode == 0 else ""


def running_jobs():
    """Ids of the jobs that run."""
    return output("squeue", "--noheader", "--states=R", "--format=%A").split()


def wait_for(condition, seconds=SECONDS):
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"nothing happened for {seconds} s"
        time.sleep(0.1)


def _configure(folder):
    """Write the key of munge and slurm.conf; path of the latter."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    controller, node = _free_ports(2)
    text = CONFIGURATION.format(
        folder=folder,
        host=socket.gethostname().split(".")[0],
        controller=controller,
        node=node,
        cpus=os.cpu_count(),
    )
    path = folder / "slurm.conf"
    path.write_text(text)
    return path


def _daemons(folder):
    munge = ["munged", "--foreground", "--force", "--key-file", folder / "munge.key"]
    for name in ("socket", "pid-file", "seed-file", "log-file"):
        munge += [f"--{name}", folder / f"munge.{name.split('-')[0]}"]
    return [munge, ["slurmctld", "-D", "-i"], ["slurmd", "-D"]]


@contextmanager
def _running(command, folder):
    """Run a daemon in the foreground until the end of the block."""
    name = command[0]
    with (folder / f"{name}.output").open("wb") as log:
        process = subprocess.Popen(
            list(map(str, command)), stdout=log, stderr=log, start_new_session=True
        )
    if name == "munged":
        wait_for((folder / "munge.socket").exists)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _short_folder():
    """A folder whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(
        prefix="voltween-slurm-", dir="/tmp", ignore_cleanup_errors=True
    ) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def _free_ports(count):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
