#!/bin/bash
# PID 1 of the node. Builds a private root from the Debian tree, then supervises the parts as plain processes.
#
# Environment: CLUSTER (the cluster's folder on the host), ARTEFACTS (name=path, one a line), CGROUP_VERSION,
# CGROUP_HIERARCHIES (version 1 only: mount options, one a line), NODE_NAME, NODE_ADDRESS, NODE_SCRIPTS.
set -euo pipefail

ROOT=$CLUSTER/run/root
LOG=/var/log/careops
LOG_LIMIT=$((16 * 1024 * 1024)) # bytes before a log moves to <name>.1: two files a part at most
GRACE=20                        # seconds that containers get to end by themselves
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root

mount_root() {
  mkdir -p "$ROOT"
  mount -t tmpfs -o mode=700,size=512m tmpfs "$ROOT"
  mkdir "$ROOT/upper" "$ROOT/work" "$ROOT/merged"
  mount -t overlay -o "lowerdir=$CLUSTER/rootfs,upperdir=$ROOT/upper,workdir=$ROOT/work" overlay "$ROOT/merged"
  ROOT=$ROOT/merged
  mount -t proc proc "$ROOT/proc"
  mount -t sysfs -o ro sysfs "$ROOT/sys"
  mount -t tmpfs -o mode=755 tmpfs "$ROOT/run"
  mount -t tmpfs tmpfs "$ROOT/tmp"
}

mount_devices() {
  mount -t tmpfs -o mode=755 tmpfs "$ROOT/dev"
  mkdir "$ROOT/dev/pts" "$ROOT/dev/shm" "$ROOT/dev/mqueue" "$ROOT/dev/net"
  local device
  for device in null zero full random urandom tty kmsg fuse net/tun; do
    [ -e "/dev/$device" ] || continue
    touch "$ROOT/dev/$device"
    mount --bind "/dev/$device" "$ROOT/dev/$device"
  done
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$ROOT/dev/pts"
  mount -t tmpfs tmpfs "$ROOT/dev/shm"
  mount -t mqueue mqueue "$ROOT/dev/mqueue"
  ln -s pts/ptmx "$ROOT/dev/ptmx"
  ln -s /proc/self/fd "$ROOT/dev/fd"
  ln -s fd/0 "$ROOT/dev/stdin"
  ln -s fd/1 "$ROOT/dev/stdout"
  ln -s fd/2 "$ROOT/dev/stderr"
}

# The control group namespace is new, so every hierarchy shows only the node's own part of it.
mount_cgroups() {
  local groups=$ROOT/sys/fs/cgroup hierarchy folder controller process controllers
  if [ "$CGROUP_VERSION" = 2 ]; then
    mount -t cgroup2 cgroup2 "$groups"
    # A group that hands controllers down may hold no process itself.
    mkdir -p "$groups/init"
    while read -r process; do
      echo "$process" >"$groups/init/cgroup.procs" || true
    done <"$groups/cgroup.procs"
    read -ra controllers <"$groups/cgroup.controllers"
    for controller in "${controllers[@]}"; do
      echo "+$controller" >"$groups/cgroup.subtree_control"
    done
    return
  fi
  mount -t tmpfs -o mode=755 tmpfs "$groups"
  while read -r hierarchy; do
    folder=$groups/${hierarchy#name=}
    mkdir "$folder"
    case $hierarchy in
    # containerd's shim looks every hierarchy of /proc/PID/cgroup up, the named one too.
    name=*) mount -t cgroup -o "none,$hierarchy" cgroup "$folder" ;;
    *) mount -t cgroup -o "$hierarchy" cgroup "$folder" ;;
    esac
    for controller in ${hierarchy//,/ }; do
      [ -e "$groups/$controller" ] || [ "$hierarchy" = "$controller" ] || ln -s "$hierarchy" "$groups/$controller"
    done
  done <<<"$CGROUP_HIERARCHIES"
}

# The kubelet would write these knobs of the whole machine: it gets files that already hold what it wants.
shield_machine() {
  local setting file
  mkdir -p "$ROOT/run/careops/shield"
  for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    [ -e "$ROOT/proc/sys/${setting%=*}" ] || continue
    file=$ROOT/run/careops/shield/${setting%%=*}
    mkdir -p "${file%/*}"
    echo "${setting#*=}" >"$file"
    mount --bind "$file" "$ROOT/proc/sys/${setting%=*}"
  done
}

bind() { # source target [ro]
  mkdir -p "$ROOT$2"
  mount --bind "$1" "$ROOT$2"
  [ "${3:-}" != ro ] || mount -o remount,bind,ro "$ROOT$2"
}

mount_data() {
  local artefact folder
  while read -r artefact; do
    bind "${artefact#*=}" "/opt/careops/${artefact%%=*}" ro
  done <<<"$ARTEFACTS"
  bind "$NODE_SCRIPTS" /opt/careops/node ro
  bind "$CLUSTER/config" /etc/careops/config ro
  bind "$CLUSTER/pki" /etc/careops/pki ro
  bind "$CLUSTER/log" "$LOG"
  for folder in etcd containerd kubelet; do
    bind "$CLUSTER/$folder" "/var/lib/$folder"
  done
  bind "$CLUSTER/pv" /pv
  mkdir -p "$ROOT/var/log/pods" "$ROOT/var/log/containers" "$ROOT/var/lib/calico" "$ROOT/run/careops/services"
  mkdir -p "$CLUSTER/log/pods"
  bind "$CLUSTER/log/pods" /var/log/pods
}

enter_root() {
  mkdir -p "$ROOT/.old"
  cd "$ROOT"
  pivot_root . .old
  cd /
  umount -l /.old
  rmdir /.old
  mount --make-rshared /
  # The parts get none of what only this script needed.
  unset CLUSTER ARTEFACTS CGROUP_VERSION CGROUP_HIERARCHIES CGROUP_FOLDERS NODE_SCRIPTS NSFWD API_PORT NODE_API INIT
}

# A bridge without ports carries the node's address: the kernel may lack the dummy device. The default route is what
# lets the node itself reach Service addresses.
start_network() {
  # Pods and policies are IPv4 only. Every pod's interface still has a link-local IPv6 address, and Felix programs no
  # IPv6 rules: with IPv6 on its side of the link the node would answer every pod, whatever the pod's policy says.
  # Loopback, which exists already, keeps it: the API server calls itself at ::1.
  if [ -e /proc/sys/net/ipv6 ]; then
    sysctl -qw net.ipv6.conf.default.disable_ipv6=1
  fi
  ip link set lo up
  ip link add careops0 type bridge
  ip address add "$NODE_ADDRESS/24" dev careops0
  ip link set careops0 up
  ip route add default dev careops0
  sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
  printf '127.0.0.1 localhost\n%s %s\n' "$NODE_ADDRESS" "$NODE_NAME" >/etc/hosts
  : >/run/careops/resolv.conf
  printf '%s' "$NODE_NAME" >/var/lib/calico/nodename
}

# Until Felix has every policy in the kernel nothing is forwarded between pods: pods kept from the last run come up
# before their policies do. The node itself (probes, the API server) is not forwarded, so this delays nothing.
close_forwarding() {
  nft add table inet careops_start
  nft add chain inet careops_start forward '{ type filter hook forward priority -400; policy drop; }'
}

open_forwarding_when_in_sync() {
  until /opt/careops/node/health.sh calico-felix >/dev/null; do sleep 0.2; done
  nft delete table inet careops_start
}

wait_until() { # condition
  local file=/run/careops/reached-$1
  [ "$1" = none ] || until [ -e "$file" ]; do sleep 0.1; done
}

watch_conditions() {
  local kubectl=(/opt/careops/kube/bin/kube kubectl --kubeconfig /etc/careops/pki/admin.conf --request-timeout 5s)
  until "${kubectl[@]}" get --raw /readyz >/dev/null 2>&1; do sleep 0.1; done
  touch /run/careops/reached-api
  # Felix ends itself when the node's addresses appear after its start, so it waits for them as well.
  until "${kubectl[@]}" get clusterinformations.crd.projectcalico.org default >/dev/null 2>&1 &&
    "${kubectl[@]}" get nodes -o 'jsonpath={.items[*].spec.podCIDR}' 2>/dev/null | grep -q .; do sleep 0.3; done
  touch /run/careops/reached-calico
}

supervise() { # name condition
  local delay=1 begun code process
  wait_until "$2"
  while [ ! -e /run/careops/stopping ]; do
    begun=$SECONDS
    bash "/etc/careops/config/services/$1" >>"$LOG/$1.log" 2>&1 &
    process=$!
    echo "$process" >"/run/careops/services/$1.pid"
    code=0
    wait "$process" || code=$?
    [ ! -e /run/careops/stopping ] || break
    [ $((SECONDS - begun)) -lt 60 ] || delay=1
    echo "careops: $1 ended with $code after $((SECONDS - begun)) s; it starts again in $delay s" >>"$LOG/$1.log"
    echo "$code" >>"/run/careops/services/$1.ended"
    sleep "$delay"
    delay=$((delay * 2 > 30 ? 30 : delay * 2))
  done
}

cap_logs() {
  local file
  for file in "$LOG"/*.log; do
    [ "$(stat -c %s "$file" 2>/dev/null || echo 0)" -gt "$LOG_LIMIT" ] || continue
    cp "$file" "$file.1" # writers append, so the file can be emptied under them
    : >"$file"
  done
}

end_service() { # name seconds
  local process
  process=$(cat "/run/careops/services/$1.pid" 2>/dev/null) || return 0
  kill -TERM "$process" 2>/dev/null || return 0
  local tries=$(($2 * 10))
  while kill -0 "$process" 2>/dev/null && [ "$tries" -gt 0 ]; do
    sleep 0.1
    tries=$((tries - 1))
  done
  kill -KILL "$process" 2>/dev/null || true
}

# Databases get the time to close their files; what is left then ends with this process, the last of the namespace.
stop_node() {
  trap '' TERM
  touch /run/careops/stopping
  end_service kubelet 3
  local ctr=(timeout 5 /opt/careops/containerd/bin/ctr -n k8s.io) tasks task tries=$((GRACE * 5))
  tasks=$("${ctr[@]}" containers ls -q 'labels."io.cri-containerd.kind"==container' 2>/dev/null || true)
  for task in $tasks; do
    "${ctr[@]}" tasks kill -s SIGTERM "$task" >/dev/null 2>&1 &
  done
  while [ "$tries" -gt 0 ]; do
    "${ctr[@]}" tasks ls 2>/dev/null | grep RUNNING | grep -qF "${tasks:-nothing}" || break
    sleep 0.2
    tries=$((tries - 1))
  done
  end_service kube-apiserver 0 # all it holds is in etcd; a graceful end would wait for its watchers
  end_service etcd 5
  exit 0
}

hostname "$NODE_NAME"
mount_root
mount_devices
mount_cgroups
shield_machine
mount_data
enter_root
ulimit -n "$(ulimit -Hn)"
start_network
trap stop_node TERM
if grep -q '^calico-felix ' /etc/careops/config/schedule; then
  close_forwarding
  open_forwarding_when_in_sync &
fi
watch_conditions &
while read -r service condition; do
  supervise "$service" "$condition" &
done </etc/careops/config/schedule
echo "the node's parts are starting"
while :; do
  sleep 30 &
  wait $! || true
  cap_logs
done
