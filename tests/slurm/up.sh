#!/bin/bash
# Brings up a SLURM cluster of one machine in a folder: up.sh FOLDER. Needs slurmctld, slurmd, slurm-client and munge;
# neither root nor systemd nor a database. The machine is said to be larger than it is, so that it takes what real jobs
# ask for, and /dev/null and /dev/zero pass as its two GPUs.
set -euo pipefail
folder=$1 host=$(hostname -s) user=$(id -un)
PATH=$PATH:/usr/sbin:/sbin

mkdir -p "$folder"/{etc,run,log,spool,state}
chmod 755 "$folder" "$folder"/{etc,run,log}
read -r controller_port daemon_port < <(python3 -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(s.getsockname()[1] for s in sockets))')

(umask 077 && head -c 1024 /dev/urandom >"$folder/etc/munge.key")
# By force, as it would not put its socket into a folder that other users cannot enter.
munged --force --key-file="$folder/etc/munge.key" --socket="$folder/run/munge.sock" --pid-file="$folder/run/munged.pid" \
  --log-file="$folder/log/munged.log" --seed-file="$folder/state/munge.seed" --num-threads=2 2>"$folder/log/munged.stderr"

cat >"$folder/etc/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$controller_port
AuthInfo=socket=$folder/run/munge.sock
SlurmUser=$user
SlurmdUser=$user
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
AccountingStorageType=accounting_storage/none
# Snakemake asks squeue about jobs that have ended, and so do tests.
MinJobAge=3600
KillWait=60
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 Port=$daemon_port CPUs=16 RealMemory=500000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=UNLIMITED State=UP
CONF
cat >"$folder/etc/gres.conf" <<CONF
NodeName=$host Name=gpu File=/dev/null
NodeName=$host Name=gpu File=/dev/zero
CONF

export SLURM_CONF=$folder/etc/slurm.conf
slurmctld -f "$SLURM_CONF" -c -i >/dev/null 2>"$folder/log/slurmctld.stderr"
slurmd -f "$SLURM_CONF" -c 2>"$folder/log/slurmd.stderr"
while ((SECONDS < 30)); do
  # Without a controller sinfo tries for a long time.
  [ "$(timeout 2 sinfo --noheader --format=%T 2>/dev/null)" = idle ] && exit 0
  sleep 0.1
done
echo "SLURM did not come up:" >&2
tail "$folder"/log/slurm*.log >&2
exit 1
