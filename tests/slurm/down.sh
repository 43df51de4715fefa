#!/bin/bash
# Takes down the SLURM cluster that up.sh brought up in a folder: down.sh FOLDER. Signals nothing but its own daemons.
folder=$1
export SLURM_CONF=$folder/etc/slurm.conf

# Jobs first: they would outlive their daemons.
timeout 5 scancel --user="$(id -un)"
for _ in $(seq 150); do
  [ -z "$(timeout 2 squeue --noheader)" ] && break
  sleep 0.2
done

# A process that has ended but is not yet fetched by its parent counts as gone.
lives() { [ -r "/proc/$1/stat" ] && [ "$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null)" != Z ]; }

for daemon in slurmd slurmctld munged; do
  pid=$(cat "$folder/run/$daemon.pid" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$daemon" ] || continue
  kill "$pid"
  for _ in $(seq 100); do
    lives "$pid" || break
    sleep 0.1
  done
  lives "$pid" && kill -9 "$pid"
done
exit 0
