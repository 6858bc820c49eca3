#!/bin/sh
# namespace.sh DIRECTORY: runs libvirtd on a mount and a network namespace of its own, so that nothing of the machine's libvirt
# is touched: its files lie in DIRECTORY, its sockets in DIRECTORY/run, its bridge nowhere else. Reads orders from its standard
# input (start, stop, kill) and answers each with a line; when the input closes, everything ends.
set -eu
base=$1
mkdir -p "$base/etc" "$base/lib" "$base/cache" "$base/log" "$base/var-run" "$base/run"
cp -r /etc/libvirt/. "$base/etc/"
cat >"$base/etc/qemu.conf" <<END
user = "root"
group = "root"
dynamic_ownership = 0
security_driver = "none"
stdio_handler = "file"
cgroup_controllers = [ ]
END
cat >"$base/libvirtd.conf" <<END
unix_sock_dir = "$base/run"
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "2:file:$base/libvirtd.log"
END
mount --make-rprivate /
mount --bind "$base/etc" /etc/libvirt
mkdir -p /var/lib/libvirt /var/cache/libvirt /var/log/libvirt /run/libvirt
mount --bind "$base/lib" /var/lib/libvirt
mount --bind "$base/cache" /var/cache/libvirt
mount --bind "$base/log" /var/log/libvirt
mount --bind "$base/var-run" /run/libvirt
mkdir -p /var/lib/libvirt/qemu
ip link set lo up
ip link add guests0 type bridge
ip addr add 10.99.0.1/24 dev guests0
ip link set guests0 up
daemon=
running() { [ -n "$daemon" ] && kill -0 "$daemon" 2>/dev/null; }
end_daemon() {
    running && kill "-$1" "$daemon" && wait "$daemon" 2>/dev/null || :
    daemon=
}
finish() {
    end_daemon TERM
    for pid in "$base"/var-run/qemu/*.pid; do
        [ -e "$pid" ] && kill -9 "$(cat "$pid")" 2>/dev/null || :
    done
}
trap finish EXIT
trap 'exit 1' INT TERM HUP
while read -r order; do
    case $order in
    start)
        libvirtd -f "$base/libvirtd.conf" -p "$base/libvirtd.pid" >"$base/start.log" 2>&1 </dev/null &
        daemon=$! ;;
    stop) end_daemon TERM ;;
    kill) end_daemon KILL ;;
    esac
    echo "done $order"
done
