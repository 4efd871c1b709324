#!/bin/bash
# The node's only process in the host's namespaces: keeps the node's init and the API port's forwarder alive together.
# Killing this process, or the init, or the machine ends all of it: nothing here survives its parent.
#
# Environment: CGROUP_FOLDERS (the node's control groups, one a line), NSFWD (the forwarder), API_PORT, NODE_API (address:port
# inside the node), INIT (path of init.sh), and everything init.sh takes.
set -uo pipefail

(
  while read -r folder; do
    echo "$BASHPID" >"$folder/cgroup.procs" || exit 1
  done <<<"$CGROUP_FOLDERS"
  exec setpriv --pdeathsig KILL \
    unshare --net --mount --propagation private --pid --fork --kill-child --cgroup --uts --ipc \
    bash "$INIT"
) &
node=$!

# unshare itself enters the new network namespace before it forks: from then on the forwarder can be pointed at it.
host_network=$(readlink /proc/self/ns/net)
until [ "$(readlink "/proc/$node/ns/net" 2>/dev/null)" != "$host_network" ]; do
  kill -0 "$node" 2>/dev/null || exit 1
  sleep 0.02
done

while kill -0 "$node" 2>/dev/null; do
  setpriv --pdeathsig KILL "$NSFWD" "127.0.0.1:$API_PORT" "/proc/$node/ns/net" "$NODE_API" &
  forwarder=$!
  wait -n "$node" "$forwarder"
  if kill -0 "$node" 2>/dev/null; then
    echo "the forwarder of port $API_PORT ended; it starts again in a second"
    sleep 1
  else
    kill -KILL "$forwarder" 2>/dev/null
  fi
done
