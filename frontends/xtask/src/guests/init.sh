#!/bin/busybox sh
# The first program of the guest: mounts and drivers; then busybox's init, which knows what poweroff, reboot and halt ask.
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mkdir -p /dev/pts && mount -t devpts devpts /dev/pts
while read -r module; do insmod "/modules/$module.ko"; done < /modules/order
echo "understage: $(uname -sr), $(nproc) CPU(s), up $(cut -d' ' -f1 /proc/uptime) s; 'exit' or Ctrl-D powers off"
exec init
