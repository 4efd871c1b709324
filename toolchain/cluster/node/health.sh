#!/bin/bash
# health.sh [NAME…]: asks the node's parts whether they are well. One line a part: `name ok|down restarts detail`.
# Ends with 0 when every part that was asked is well. Runs inside the node.
set -uo pipefail

answers_http() { # port path
  local line
  { exec 3<>"/dev/tcp/127.0.0.1/$1"; } 2>/dev/null || return 1
  printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&3
  read -r -t 3 line <&3 || return 1
  exec 3>&-
  [[ $line == *" 200 "* ]]
}

accepts() { # port
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

is_well() { # name
  case $1 in
  etcd) accepts 2379 ;;
  containerd) timeout 5 /opt/careops/containerd/bin/ctr version >/dev/null 2>&1 ;;
  kube-apiserver) accepts 6443 ;;
  kubelet) answers_http 10248 /healthz ;;
  kube-controller-manager) accepts 10257 ;;
  kube-scheduler) accepts 10259 ;;
  kube-proxy) answers_http 10256 /healthz ;;
  calico-felix) answers_http 9099 /readiness ;;
  *) return 1 ;;
  esac
}

[ $# -gt 0 ] || mapfile -t all < <(cut -d' ' -f1 /etc/careops/config/schedule)
code=0
for name in "${@:-${all[@]}}"; do
  restarts=$(wc -l 2>/dev/null <"/run/careops/services/$name.ended" || echo 0)
  if is_well "$name"; then
    echo "$name ok $restarts"
  else
    echo "$name down $restarts"
    code=1
  fi
done
exit "$code"
