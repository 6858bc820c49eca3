#!/bin/busybox sh
# The guest's only program: loads drivers, brings up its network and takes orders, a line each, over the serial port.
/bin/busybox --install -s /bin
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev
for m in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_balloon failover net_failover virtio_net virtio_blk; do
    insmod /lib/$m.ko
done
ip link set lo up
ip link set eth0 up
ip addr add 10.99.0.2/24 dev eth0
exec </dev/ttyS0 >/dev/ttyS0 2>&1
stty -echo 2>/dev/null
burning=
echo guest-is-up
while read -r order argument; do
    case $order in
    burn)
        i=0
        while [ "$i" -lt "$argument" ]; do
            (while :; do :; done) &
            burning="$burning $!"
            i=$((i + 1))
        done ;;
    idle) [ -n "$burning" ] && kill -9 $burning; burning= ;;
    read) dd if=/dev/vda of=/dev/null bs=64k count="$argument" iflag=direct 2>/dev/null ;;
    write) dd if=/dev/zero of=/dev/vda bs=64k count="$argument" oflag=direct conv=fsync 2>/dev/null ;;
    ping) ping -c "$argument" -i 0.05 -W 1 10.99.0.1 >/dev/null 2>&1 ;;
    off) echo "done $order"; poweroff -f ;;
    esac
    echo "done $order"
done
