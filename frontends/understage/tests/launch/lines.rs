//! The list of command lines.

/// A command line.
pub(super) struct Line {
    /// In whose manner.
    pub(super) from: &'static str,
    /// What stands behind `qemu-system-aarch64`.
    pub(super) options: &'static str,
    /// What becomes of it.
    pub(super) expect: Expect,
}

/// What becomes of a line.
#[derive(Clone, Copy)]
pub(super) enum Expect {
    /// The guest runs and turns the machine off.
    Runs,
    /// The same, with nobody to hear what the guest says.
    Ends,
    /// It runs, and the machine stays until the user ends it.
    Stays,
    /// It describes a machine, which waits for somebody to connect: that is not done here.
    Reads,
    /// It prints a list with this in it.
    Prints(&'static str),
    /// One sentence with this in it, and status 2.
    Refused(&'static str),
}

use Expect::{Ends, Prints, Reads, Refused, Runs, Stays};

const fn line(from: &'static str, options: &'static str, expect: Expect) -> Line {
    Line { from, options, expect }
}

/// All lines.
pub(super) const LINES: &[Line] = &[
    // The machine without anything.
    line(
        "libvirt",
        "-S -nodefaults -nographic -machine none,accel=tcg -qmp unix:qmp.sock,server,nowait",
        Reads,
    ),
    line(
        "nobody",
        "-machine none -cpu max -display none",
        Refused("-cpu is not supported with the machine 'none'"),
    ),
    line(
        "nobody",
        "-machine none,highmem=off -display none",
        Refused("'highmem=off' is not supported for the machine 'none'"),
    ),
    line("nobody", "-machine none -kernel Image -display none", Refused("nothing can be loaded")),
    line("nobody", "-machine none -serial stdio -display none", Refused("it has no serial port")),
    // Networks.
    line(
        "Linux",
        "-M virt -cpu max -kernel Image -display none -serial stdio -netdev hubport,id=n0,hubid=0 -device e1000e,netdev=n0,mac=52:54:00:00:00:01 -netdev hubport,id=n1,hubid=0 -device e1000e,netdev=n1",
        Runs,
    ),
    line(
        "Linux",
        "-M virt -cpu max -kernel Image -nographic -nic hubport,hubid=1,model=e1000e,mac=52:54:00:00:00:01",
        Runs,
    ),
    line(
        "Linux",
        "-M virt -cpu max -kernel Image -nographic -netdev stream,id=n0,server=on,addr.type=unix,addr.path=net.sock -device e1000e,netdev=n0",
        Runs,
    ),
    line(
        "nobody",
        "-M virt -cpu max -kernel Image -nographic -netdev socket,id=n0,fd=77 -device e1000e,netdev=n0",
        Refused("cannot use the file descriptor '77' given with -netdev"),
    ),
    line(
        "Linux",
        "-M virt -cpu max -kernel Image -nographic -netdev hubport,id=n0,hubid=0 -device virtio-net-pci,netdev=n0,mac=52:54:00:00:00:01,romfile= -netdev hubport,id=n1,hubid=0 -device virtio-net-device,netdev=n1",
        Runs,
    ),
    line("Linux", "-M virt -cpu max -kernel Image -nographic -nic hubport,hubid=1", Runs),
    line(
        "nobody",
        "-M virt -cpu max -kernel Image -nographic -device virtio-net-pci,mq=on",
        Refused("there is one pair of queues"),
    ),
    line("nobody", "-netdev help", Prints("hubport")),
    // Linux by itself.
    line(
        "Linux",
        "-M virt -cpu cortex-a57 -m 1024 -smp 2 -kernel Image -append \"console=ttyAMA0 root=/dev/vda\" -nographic -hda disk.img",
        Runs,
    ),
    line(
        "Linux",
        "-machine virt -cpu cortex-a53 -machine type=virt -nographic -smp 1 -m 2048 -kernel Image -append console=ttyAMA0",
        Runs,
    ),
    line(
        "Linux",
        "-M virt,gic-version=3 -cpu max -smp 4 -m 2G -kernel Image -initrd initrd.img -append 'console=ttyAMA0 rdinit=/init earlycon' -nographic -no-reboot",
        Runs,
    ),
    line(
        "Linux",
        "-nographic -machine virt,gic-version=max,dump-guest-core=off -cpu max,pauth-impdef=on -smp 4 -m 4G -kernel Image -drive if=none,file=root.ext4,format=raw,id=hd0 -device virtio-blk-device,drive=hd0 -append 'root=/dev/vda rw console=ttyAMA0'",
        Runs,
    ),
    line(
        "Linux",
        "-M virt -cpu max,sve=off,sme=off -m 1G -kernel Image -append 'console=ttyAMA0 nokaslr' -nographic -serial mon:stdio -display none",
        Runs,
    ),
    line(
        "Linux",
        "-M virt -cpu max,lpa2=off -smp 2,sockets=1,cores=2,threads=1 -m 1G -kernel Image -nographic -monitor none",
        Runs,
    ),
    line(
        "Linux",
        "-M virt,mte=on -cpu max -m 1G -kernel Image -nographic",
        Refused("'mte=on' in -M is not supported: there is no memory tagging"),
    ),
    line("Linux", "-M virt,iommu=smmuv3 -cpu max -m 1G -kernel Image -nographic", Runs),
    line(
        "Linux",
        "-M virt,gic-version=3 -cpu max -m 1G -kernel Image -nographic -device arm-smmuv3,primary-bus=pcie.0,id=smmu -device edu,addr=3.0 -device iommu-testdev -device virtio-rng-pci,iommu_platform=on,disable-legacy=on",
        Runs,
    ),
    line(
        "Linux",
        "-M virt -m 512M -kernel Image -nographic",
        Refused("-cpu is needed: the board's default is the cortex-a15"),
    ),
    line("Linux", "-kernel Image -cpu max -nographic", Refused("-M is needed")),
    line(
        "Linux CI",
        "-M virt -cpu cortex-a57 -accel tcg,thread=multi -m 1G -smp 2 -no-reboot -display none -serial stdio -kernel Image -initrd rootfs.cpio.gz -append 'console=ttyAMA0 panic=-1'",
        Runs,
    ),
    line(
        "Linux CI",
        "-machine virt,accel=kvm:tcg -cpu max -smp 4 -m 4096 -nodefaults -nographic -serial mon:stdio -kernel Image -no-reboot -object rng-random,filename=/dev/urandom,id=rng0 -device virtio-rng-pci,rng=rng0",
        Runs,
    ),
    line(
        "Linux CI",
        "-M virt -cpu cortex-a57 -nodefaults -no-reboot -kernel Image -serial file:serial.log -display none",
        Runs,
    ),
    line(
        "Linux CI",
        "-M virt -cpu max -m 1G -kernel Image -display none -chardev file,id=log,path=serial.log -serial chardev:log -no-reboot",
        Runs,
    ),
    line(
        "Linux CI",
        "-accel kvm -M virt -cpu max -m 1G -kernel Image -nographic",
        Refused("the accelerator 'kvm' is not supported"),
    ),
    line("Linux CI", "-accel kvm -accel tcg -M virt -cpu max -m 1G -kernel Image -nographic", Runs),
    line(
        "kernel debugging",
        "-M virt -cpu cortex-a72 -m 1G -kernel Image -append 'console=ttyAMA0 nokaslr' -nographic -s -S",
        Reads,
    ),
    line("kernel debugging", "-M virt -cpu max -kernel Image -nographic -gdb tcp::9000 -S", Reads),
    line(
        "kernel debugging",
        "-M virt -cpu max -kernel Image -nographic -d int,guest_errors,unimp -D qemu.log",
        Runs,
    ),
    line(
        "kernel debugging",
        "-M virt -cpu cortex-a57 -kernel kernel.bin -nographic -d in_asm,exec,nochain -dfilter 0x40000000+0x10000000 -D qemu.log",
        Runs,
    ),
    line("kernel debugging", "-M virt -cpu max -kernel Image -nographic -d mmu,cpu_reset -D qemu.log", Runs),
    line(
        "kernel debugging",
        "-M virt -cpu max -kernel Image -nographic -d trace:virtio*",
        Refused("'trace:virtio*' in -d is not supported"),
    ),
    line(
        "kernel debugging",
        "-M virt -cpu max -kernel Image -nographic -icount shift=auto,align=off",
        Refused("'shift=auto' in -icount is not supported"),
    ),
    line(
        "what it did, and when",
        "-M virt -cpu max -kernel Image -nographic -ledger ledger.json -timeline boot.pftrace",
        Runs,
    ),
    line(
        "deterministic runs",
        "-M virt -cpu max -kernel Image -nographic -icount shift=2,sleep=off,align=off",
        Runs,
    ),
    line(
        "kernel debugging",
        "-M virt -cpu max -kernel Image -nographic -no-shutdown -serial file:serial.log -no-reboot",
        Stays,
    ),
    // Hypervisors.
    line(
        "KVM in a guest",
        "-M virt,virtualization=on,gic-version=3 -cpu max -smp 2 -m 4G -kernel Image -append 'console=ttyAMA0 kvm-arm.mode=nvhe' -nographic -drive file=disk.img,if=virtio,format=raw",
        Runs,
    ),
    line(
        "KVM in a guest",
        "-machine virt,virtualization=true,gic-version=3 -cpu neoverse-n1 -smp 4 -m 2G -nographic -kernel Image -initrd initrd.img -net none",
        Runs,
    ),
    line("KVM in a guest", "-M virt,virtualization=on -cpu neoverse-v1 -m 2G -nographic -kernel Image", Runs),
    line(
        "pKVM",
        "-M virt,virtualization=on,gic-version=3,its=on -cpu max,pmu=off -smp 4 -m 2048 -kernel Image -append 'kvm-arm.mode=protected console=ttyAMA0' -nographic -no-reboot",
        Runs,
    ),
    line(
        "Xen",
        "-machine virt,virtualization=true,gic-version=3 -cpu cortex-a57 -smp 4 -m 4096 -serial mon:stdio -bios u-boot.bin -display none",
        Runs,
    ),
    line(
        "Xen",
        "-machine virt,gic-version=3 -machine virtualization=true -cpu cortex-a57 -machine type=virt -m 4096 -smp 2 -kernel xen -append 'dom0_mem=1G console=dtuart dtuart=/pl011@9000000' -nographic -no-reboot -device loader,file=linux.bin,addr=0x47000000 -device loader,file=initrd.img,addr=0x48000000",
        Runs,
    ),
    line(
        "Xen",
        "-M virt,virtualization=on,gic-version=2 -cpu cortex-a53 -m 1G -kernel xen -nographic -device guest-loader,addr=0x49000000,kernel=Image-guest,bootargs='console=hvc0 root=/dev/ram' -device guest-loader,addr=0x4a000000,initrd=initrd.img",
        Runs,
    ),
    line(
        "Xen",
        "-M virt,virtualization=on -cpu cortex-a72 -m 2G -smp 2 -kernel xen -append 'console=dtuart' -serial stdio -display none -netdev user,id=n0 -device virtio-net-pci,netdev=n0",
        Runs,
    ),
    line(
        "Xen",
        "-M virt,virtualization=on -cpu cortex-a72 -m 2G -smp 2 -kernel xen -append 'console=dtuart' -serial stdio -display none -netdev user,id=u0,restrict=on -device e1000e,addr=5.0,romfile=,netdev=u0",
        Runs,
    ),
    line(
        "Xvisor",
        "-M virt,virtualization=on,gic-version=2 -cpu cortex-a57 -m 512M -display none -serial stdio -kernel xvisor.bin -initrd disk.img -append 'vmm.bootcmd=\"vfs mount initrd /\"'",
        Runs,
    ),
    line(
        "Bao",
        "-nographic -M virt,secure=on,virtualization=on,gic-version=3 -cpu cortex-a53 -smp 4 -m 4G -bios flash.bin -device loader,file=bao.bin,addr=0x50000000,force-raw=on",
        Refused("'secure=on' in -M is not supported: there is no EL3"),
    ),
    line(
        "Bao",
        "-nographic -M virt,virtualization=on,gic-version=3 -cpu cortex-a53 -smp 4 -m 4G -device loader,file=bao.bin,addr=0x50000000,force-raw=on -device loader,addr=0x50000000,cpu-num=0 -net none",
        Runs,
    ),
    line(
        "Hafnium",
        "-M virt,virtualization=on,gic-version=3 -cpu cortex-a57 -nographic -machine virtualization=true -kernel hafnium.bin -initrd initrd.img -append 'x' -m 1G",
        Runs,
    ),
    line(
        "Jailhouse",
        "-cpu cortex-a57 -smp 16 -m 1G -machine virt,gic-version=3,virtualization=on,its=off -nographic -device virtio-serial-device -chardev null,id=c0 -device virtconsole,chardev=c0 -drive file=disk.img,if=none,format=raw,id=hd -device virtio-blk-device,drive=hd -kernel Image -append 'console=ttyAMA0 root=/dev/vda mem=768M'",
        Runs,
    ),
    line(
        "seL4",
        "-machine virt,virtualization=on,highmem=off,secure=off -cpu cortex-a53 -nographic -m size=2G -kernel sel4.elf",
        Runs,
    ),
    line(
        "seL4",
        "-machine virt,virtualization=on -cpu cortex-a53 -serial mon:stdio -device loader,file=sel4.elf,addr=0x70000000,cpu-num=0 -m size=2G -nographic",
        Runs,
    ),
    line(
        "NOVA",
        "-machine virt,gic-version=3,virtualization=on -cpu max -smp 4 -m 512M -nographic -kernel kernel.elf",
        Runs,
    ),
    line("kvmtool host", "-M virt-7.2,virtualization=on -cpu max -m 2G -kernel Image -nographic", Runs),
    line("older board", "-M virt-6.2 -cpu max -m 2G -kernel Image -nographic", Runs),
    line(
        "older board",
        "-M virt-2.12 -cpu cortex-a57 -m 2G -kernel Image -nographic",
        Refused("there is no board 'virt-2.12'"),
    ),
    line(
        "KVM in a guest",
        "-cpu cortex-a72 -M virt,virtualization=on,gic-version=3 -smp cpus=2,sockets=1,clusters=1,cores=2,threads=1 -m 3G -nodefaults -nographic -serial mon:stdio -kernel Image -append 'root=/dev/vda2 console=ttyAMA0' -drive if=none,file=disk.qcow2,format=qcow2,id=hd0,snapshot=on -device virtio-blk-pci,drive=hd0,serial=root",
        Runs,
    ),
    line(
        "Xen",
        "-M virt,gic-version=3,virtualization=on -cpu cortex-a76 -smp 8 -m 4G -nographic -kernel xen -append 'console=dtuart noreboot' -device loader,file=Image-guest,addr=0x50000000,force-raw=on -device loader,addr=0x4fffff00,data=0x12345678,data-len=4",
        Runs,
    ),
    line(
        "nested hypervisors",
        "-M virt,virtualization=on,gic-version=3,highmem=on -cpu max,aarch64=on,pauth=off -smp 2 -m 2G -kernel Image -nographic -accel tcg,tb-size=64",
        Runs,
    ),
    // Firmware.
    line("U-Boot", "-nographic -machine virt -cpu cortex-a57 -bios u-boot.bin", Runs),
    line(
        "U-Boot",
        "-M virt -cpu cortex-a72 -m 1G -nographic -bios u-boot.bin -drive if=none,file=disk.img,format=raw,id=mydisk -device virtio-blk-pci,drive=mydisk -no-reboot",
        Runs,
    ),
    line("U-Boot", "-machine virt,dumpdtb=qemu.dtb -cpu cortex-a53 -m 512M -nographic", Prints("")),
    line("EDK2", "-M virt -cpu cortex-a57 -m 1G -bios QEMU_EFI.fd -nographic", Runs),
    line(
        "EDK2",
        "-machine virt,gic-version=3 -cpu max -smp 4 -m 4G -drive if=pflash,format=raw,unit=0,file=flash0.img,readonly=on -drive if=pflash,format=raw,unit=1,file=flash1.img -drive if=virtio,file=cloud.raw,format=raw -nographic",
        Runs,
    ),
    line(
        "EDK2",
        "-M virt -cpu neoverse-n1 -m 2048 -pflash flash0.img -pflash flash1.img -nographic -net none",
        Runs,
    ),
    line(
        "EDK2",
        "-M virt,pflash0=code,pflash1=vars -blockdev node-name=code,driver=file,filename=flash0.img,read-only=on -blockdev node-name=vars,driver=file,filename=flash1.img -cpu max -m 2G -nographic",
        Runs,
    ),
    line(
        "EDK2",
        "-M virt,acpi=on -cpu max -m 2G -bios QEMU_EFI.fd -nographic",
        Refused("'acpi=on' in -M is not supported: there are no ACPI tables yet"),
    ),
    line(
        "EDK2",
        "-L firmware -M virt -cpu cortex-a72 -m 2G -bios edk2-aarch64-code.fd -nographic -boot menu=on",
        Runs,
    ),
    line(
        "TF-A",
        "-nographic -machine virt,secure=on -cpu cortex-a57 -smp 2 -m 1024 -bios bl1.bin -d unimp -semihosting-config enable=on,target=native",
        Refused("'secure=on' in -machine is not supported"),
    ),
    line(
        "OP-TEE",
        "-nographic -serial mon:stdio -serial file:uart.txt -machine virt,secure=on,mte=off,gic-version=3,virtualization=false -cpu max,sme=on,pauth-impdef=on -smp 2 -m 1057 -bios bl1.bin -d unimp",
        Refused("is not supported"),
    ),
    line(
        "EDK2",
        "-M virt -cpu max,pauth-impdef=on -m 4096 -smp 2 -drive if=pflash,format=raw,file=flash0.img,readonly=on -drive if=pflash,format=raw,file=flash1.img,snapshot=on -drive file=cloud.raw,format=raw,if=none,id=hd,media=disk -device virtio-blk-pci,drive=hd,disable-legacy=on -device virtio-rng-pci -nographic -vga none -parallel none",
        Runs,
    ),
    line(
        "U-Boot",
        "-machine virt,highmem=off -cpu cortex-a57 -smp 2 -m 2048 -bios u-boot.bin -serial mon:stdio -display none -drive file=seed.iso,media=cdrom,if=virtio -no-reboot",
        Runs,
    ),
    // Bare metal and teaching.
    line(
        "bare metal",
        "-machine virt -cpu cortex-a57 -smp 4 -m 1G -kernel kernel.elf -nographic -accel tcg,thread=multi -name osdev -nodefaults -serial mon:stdio",
        Runs,
    ),
    line("bare metal", "-M virt -cpu cortex-a35 -m 64M -kernel kernel.bin -nographic -d guest_errors", Runs),
    line(
        "bare metal",
        "-M virt -cpu cortex-a55 -m 256 -kernel kernel.elf -nographic -accel tcg,thread=single -audiodev none,id=snd0",
        Runs,
    ),
    line(
        "bare metal",
        "-machine virt,gic-version=3,its=off,ras=off,graphics=off -cpu max -m 1G -kernel kernel.bin -append 'a,b=\"c d\"' -serial stdio -display none -k en-us",
        Runs,
    ),
    line("bare metal", "-M virt -cpu cortex-a53 -nographic -kernel kernel.elf", Runs),
    line("bare metal", "-machine virt -cpu cortex-a57 -nographic -serial mon:stdio -kernel kernel.bin", Runs),
    line(
        "bare metal",
        "-M virt -cpu cortex-a72 -smp 4 -m 128M -kernel kernel.elf -display none -serial stdio -monitor none",
        Runs,
    ),
    line(
        "bare metal",
        "-M virt,gic-version=3,virtualization=on -cpu cortex-a72 -m 1G -nographic -device loader,file=kernel.elf,cpu-num=0",
        Runs,
    ),
    line(
        "bare metal",
        "-M virt -cpu max -nographic -device loader,file=kernel.bin,addr=0x40100000,force-raw=on -device loader,addr=0x40100000,cpu-num=0",
        Runs,
    ),
    line("bare metal", "-M virt -cpu cortex-a53 -nographic -bios none -kernel kernel.elf", Runs),
    line("bare metal", "-M virt -cpu cortex-a57 -nographic -kernel kernel.elf -semihosting", Runs),
    line(
        "bare metal",
        "-M virt -cpu cortex-a57 -nographic -semihosting-config enable=on,target=native -kernel kernel.elf",
        Runs,
    ),
    line(
        "Rust tutorial",
        "-machine virt -cpu cortex-a72 -semihosting -m 1024M -nographic -display none -serial stdio -kernel kernel.elf",
        Runs,
    ),
    line(
        "Rust tutorial",
        "-M virt -cpu cortex-a53 -nographic -drive file=disk.img,if=none,format=raw,id=x0 -device virtio-blk-device,drive=x0,bus=virtio-mmio-bus.0 -kernel kernel.bin",
        Runs,
    ),
    line(
        "Rust tutorial",
        "-m 128M -smp 1 -cpu cortex-a72 -machine virt -kernel kernel.bin -global virtio-mmio.force-legacy=false -device virtio-blk-device,drive=disk0 -drive id=disk0,if=none,format=raw,file=disk.img -nographic",
        Runs,
    ),
    line(
        "Rust tutorial",
        "-M virt -cpu cortex-a53 -kernel kernel.bin -nographic -device virtio-gpu-pci",
        Refused("'-device virtio-gpu-pci' is not supported"),
    ),
    line(
        "lab course",
        "-M virt -cpu cortex-a57 -m 512 -kernel kernel.bin -nographic -no-reboot -action reboot=shutdown",
        Runs,
    ),
    line(
        "lab course",
        "-M virt,gic-version=2 -cpu cortex-a57 -smp 4 -kernel kernel.elf -nographic -d int -D exceptions.log",
        Runs,
    ),
    // Real-time systems and unikernels.
    line(
        "Zephyr",
        "-cpu cortex-a53 -nographic -machine virt,gic-version=3,virtualization=on -net none -pidfile qemu.pid -chardev stdio,id=con,mux=on -serial chardev:con -icount shift=4 -kernel zephyr.elf",
        Refused("'sleep=on' in -icount is not supported"),
    ),
    line(
        "Zephyr",
        "-global virtio-mmio.force-legacy=false -cpu cortex-a53 -nographic -machine virt,secure=off,gic-version=3 -net none -pidfile qemu.pid -chardev stdio,id=con,mux=on -serial chardev:con -mon chardev=con,mode=readline -device loader,file=zephyr.elf,cpu-num=0",
        Runs,
    ),
    line(
        "NuttX",
        "-cpu cortex-a53 -nographic -machine virt,virtualization=on,gic-version=3 -net none -chardev stdio,id=con,mux=on -serial chardev:con -mon chardev=con,mode=readline -kernel kernel.elf",
        Runs,
    ),
    line(
        "FreeRTOS",
        "-M virt,gic-version=2 -cpu cortex-a53 -smp 1 -m 128M -nographic -kernel kernel.elf",
        Runs,
    ),
    line(
        "RT-Thread",
        "-M virt,gic-version=2 -cpu cortex-a53 -m 128M -smp 4 -kernel kernel.bin -nographic -drive if=none,file=disk.img,format=raw,id=blk0 -device virtio-blk-device,drive=blk0,bus=virtio-mmio-bus.0 -device virtio-rng-device -device virtio-serial-device -chardev socket,host=127.0.0.1,port=4321,server=on,wait=off,telnet=on,id=console0 -device virtserialport,chardev=console0",
        Runs,
    ),
    line(
        "Unikraft",
        "-machine virt -cpu max -m 64M -nographic -no-reboot -display none -serial stdio -device virtio-rng-pci -kernel kernel.bin -append 'vfs.rootfs=initrd' -initrd rootfs.cpio.gz",
        Runs,
    ),
    line(
        "Nanos",
        "-machine virt,gic-version=3,highmem=off -cpu cortex-a57 -m 1G -display none -serial stdio -kernel kernel.bin -drive if=none,id=hd0,format=raw,file=disk.img -device virtio-scsi-pci -device scsi-hd,drive=hd0",
        Refused("'-device virtio-scsi-pci' is not supported"),
    ),
    line(
        "OSv",
        "-machine virt,gic-version=2 -cpu cortex-a57 -m 2G -smp 4 -display none -serial stdio -device virtio-blk-pci,id=blk0,drive=hd0,scsi=off -drive file=disk.img,if=none,id=hd0,format=raw,aio=threads -device virtio-rng-pci -kernel kernel.bin -append '--nopci /hello'",
        Runs,
    ),
    line(
        "Fuchsia",
        "-nodefaults -nographic -machine virt,gic-version=3 -cpu max -m 8192 -smp 4 -serial stdio -drive file=disk.img,format=raw,if=none,id=mydisk -object iothread,id=iothread0 -device virtio-blk-pci,drive=mydisk,iothread=iothread0,addr=04.1 -kernel Image",
        Runs,
    ),
    line(
        "libvirt",
        "-M virt,gic-version=3 -cpu max -m 1G -display none -serial stdio -kernel Image -device pcie-root-port,port=8,chassis=1,id=pci.1,bus=pcie.0,multifunction=on,addr=0x1 -device pcie-root-port,port=9,chassis=2,id=pci.2,bus=pcie.0,addr=0x1.0x1 -drive file=disk.img,format=raw,if=none,id=d0 -device virtio-blk-pci,drive=d0,id=disk0,bus=pci.1,addr=0x0 -device virtio-rng-pci,bus=pci.2,addr=0x0",
        Runs,
    ),
    line(
        "libvirt",
        "-M virt -cpu max -m 1G -display none -serial stdio -kernel Image -device pcie-root-port,id=pci.1,bus=pcie.0 -device virtio-rng-pci,bus=pci.1 -device virtio-rng-pci,bus=pci.1",
        Refused("two devices are to be in PCI slot 0x0 of bus 'pci.1'"),
    ),
    line(
        "libvirt",
        "-M virt -cpu max -m 1G -display none -serial stdio -kernel Image -device pcie-root-port,id=pci.1,addr=1 -device pcie-root-port,id=pci.2,addr=1.1",
        Refused("two pcie-root-ports are to have chassis=0,slot=0: give them different numbers"),
    ),
    line(
        "Android",
        "-M virt -cpu max -m 4G -smp 4 -kernel Image -initrd initrd.img -append 'androidboot.hardware=x' -serial mon:stdio -display none -device virtio-serial-pci,id=s -chardev null,id=k -device virtconsole,bus=s.0,chardev=k -drive if=none,id=sys,file=root.ext4,format=raw,readonly=on -device virtio-blk-pci-non-transitional,drive=sys",
        Runs,
    ),
    line(
        "Zephyr",
        "-cpu max -nographic -machine virt,gic-version=3,virtualization=off -serial mon:stdio -global virtio-mmio.force-legacy=false -net none -kernel zephyr.elf",
        Runs,
    ),
    line(
        "Unikraft",
        "-M virt -cpu max -m 256M -smp 2 -nographic -vga none -nodefaults -serial stdio -parallel none -no-reboot -kernel kernel.elf",
        Runs,
    ),
    line(
        "Theseus",
        "-machine virt,gic-version=3 -cpu cortex-a72 -smp 4 -m 512M -display none -serial mon:stdio -drive id=disk1,file=disk.img,if=none,format=raw -device virtio-blk-device,drive=disk1 -kernel kernel.bin -net none -no-reboot",
        Runs,
    ),
    // Distributions and build systems.
    line(
        "kvm-unit-tests",
        "-nodefaults -machine virt -accel tcg -cpu cortex-a57 -display none -serial stdio -kernel test.flat -smp 1",
        Runs,
    ),
    line(
        "kvm-unit-tests",
        "-nodefaults -machine virt,gic-version=3 -accel tcg -cpu max -device virtio-serial-device -device virtconsole,chardev=ctd -chardev testdev,id=ctd -device pci-testdev -display none -serial stdio -kernel test.flat -smp 2 -append 'ipi'",
        Runs,
    ),
    line(
        "Buildroot",
        "-M virt -cpu cortex-a53 -nographic -smp 1 -kernel Image -append 'rootwait root=/dev/vda console=ttyAMA0' -netdev user,id=eth0 -device virtio-net-device,netdev=eth0 -drive file=root.ext4,if=none,format=raw,id=hd0 -device virtio-blk-device,drive=hd0",
        Runs,
    ),
    line(
        "Buildroot",
        "-M virt -cpu cortex-a53 -nographic -smp 1 -kernel Image -append 'rootwait root=/dev/vda console=ttyAMA0' -drive file=root.ext4,if=none,format=raw,id=hd0 -device virtio-blk-device,drive=hd0",
        Runs,
    ),
    line(
        "Yocto",
        "-object rng-random,filename=/dev/urandom,id=rng0 -device virtio-rng-pci,rng=rng0 -drive id=disk0,file=root.ext4,if=none,format=raw -device virtio-blk-pci,drive=disk0 -machine virt -cpu cortex-a57 -smp 4 -m 256 -serial mon:stdio -serial null -nographic -kernel Image -append 'root=/dev/vda rw mem=256M console=ttyAMA0'",
        Runs,
    ),
    line(
        "Yocto",
        "-object rng-random,filename=/dev/urandom,id=rng0 -device virtio-rng-pci,rng=rng0 -drive id=disk0,file=root.ext4,if=none,format=raw -device virtio-blk-pci,drive=disk0 -machine virt -cpu cortex-a76 -smp 4 -m 256 -serial mon:stdio -nographic -kernel Image -append 'root=/dev/vda rw mem=256M console=ttyAMA0'",
        Runs,
    ),
    line(
        "Debian cloud",
        "-machine virt -cpu max -smp 2 -m 2G -drive file=disk.qcow2,format=qcow2,if=virtio -drive file=seed.iso,format=raw,if=virtio,readonly=on -bios QEMU_EFI.fd -nographic",
        Runs,
    ),
    line(
        "Ubuntu cloud",
        "-M virt -cpu cortex-a72 -smp 4 -m 4096 -nographic -bios QEMU_EFI.fd -hda disk.qcow2 -cdrom seed.iso",
        Runs,
    ),
    line(
        "Fedora",
        "-name fedora,debug-threads=on -uuid 1b4e28ba-2fa1-41d2-883f-0016d3cca427 -M virt -cpu max -smp 2,maxcpus=4 -m 2048,slots=2,maxmem=4G -drive if=pflash,unit=0,format=raw,readonly=on,file=flash0.img -drive if=pflash,unit=1,format=raw,file=flash1.img -rtc base=utc -no-user-config -nodefaults -serial stdio -display none -overcommit mem-lock=off -msg timestamp=on -boot strict=off",
        Runs,
    ),
    line(
        "libvirt",
        "-name guest=web,debug-threads=on -machine virt,usb=off,gic-version=3,dump-guest-core=off,memory-backend=mach-virt.ram -accel tcg -cpu max -m size=1048576k -object '{\"qom-type\":\"memory-backend-ram\",\"id\":\"mach-virt.ram\",\"size\":1073741824}' -kernel Image -nodefaults -display none -chardev file,id=charserial0,path=serial.log -serial chardev:charserial0 -object '{\"qom-type\":\"rng-random\",\"id\":\"objrng0\",\"filename\":\"/dev/urandom\"}' -device '{\"driver\":\"virtio-rng-pci\",\"rng\":\"objrng0\",\"bus\":\"pcie.0\"}'",
        Runs,
    ),
    line(
        "Alpine",
        "-machine virt -cpu cortex-a57 -m 1G -kernel Image -initrd initrd.img -append 'console=ttyAMA0' -nographic -nic none -rtc base=localtime,clock=vm",
        Runs,
    ),
    line(
        "NixOS",
        "-machine virt,gic-version=max,accel=kvm:tcg -cpu max -name vm -m 1024 -smp 1 -device virtio-rng-pci -drive cache=writeback,file=disk.qcow2,format=qcow2,id=drive1,if=none,index=1,werror=report -device virtio-blk-pci,drive=drive1 -kernel Image -initrd initrd.img -append 'console=ttyAMA0' -nographic",
        Runs,
    ),
    line(
        "NixOS",
        "-machine virt -cpu max -m 1024 -virtfs local,path=/nix/store,security_model=none,mount_tag=nix-store -kernel Image -nographic",
        Refused("'-virtfs' is not supported"),
    ),
    line(
        "cloud hypervisor bench",
        "-M virt,memory-backend=mem0 -object memory-backend-file,id=mem0,size=512M,mem-path=pages,share=on,prealloc=off -cpu max -m 512M -nographic -kernel Image",
        Runs,
    ),
    line(
        "cloud hypervisor bench",
        "-M virt -cpu neoverse-n2 -m 256M -mem-path pages -mem-prealloc -nographic -kernel Image",
        Runs,
    ),
    line(
        "Arch",
        "-M virt -cpu cortex-a57 -smp 4 -m 2G -nographic -kernel Image -initrd initrd.img -append 'root=/dev/vda console=ttyAMA0' disk.img",
        Runs,
    ),
    line(
        "openSUSE",
        "-M virt-8.2,gic-version=3 -cpu cortex-a72 -smp 2 -m 1536 -bios QEMU_EFI.fd -drive if=none,file=disk.img,id=hd0,format=raw,cache=writeback,discard=unmap -device virtio-blk-device,drive=hd0 -nographic -sandbox off",
        Runs,
    ),
    line(
        "OpenWrt",
        "-m 256 -nographic -cpu cortex-a53 -smp 1 -M virt -kernel Image -drive if=none,file=root.ext4,format=raw,id=d -device virtio-blk-device,drive=d,logical_block_size=512,physical_block_size=4096 -nic none",
        Runs,
    ),
    // Running it from scripts.
    line(
        "service",
        "-daemonize -pidfile vm.pid -display none -monitor none -serial file:serial.log -M virt -cpu max -m 256M -kernel Image",
        Runs,
    ),
    line(
        "service",
        "-M virt -cpu max -m 256M -kernel Image -display none -monitor telnet:127.0.0.1:45454,server,nowait -serial stdio",
        Runs,
    ),
    line(
        "service",
        "-M virt -cpu max -m 256M -kernel Image -display none -monitor none -serial tcp::5555,server,nowait",
        Ends,
    ),
    line(
        "service",
        "-M virt -cpu max -m 256M -kernel Image -display none -serial unix:serial.sock,server=on,wait=off",
        Ends,
    ),
    line(
        "service",
        "-M virt -cpu max -m 256M -kernel Image -display none -serial stdio -qmp unix:qmp.sock,server,nowait",
        Runs,
    ),
    line(
        "service",
        "-M virt -cpu max -m 256M -kernel Image -nographic -fw_cfg name=opt/org.example/key,file=key.bin -fw_cfg name=opt/org.example/mode,string=test",
        Runs,
    ),
    line("service", "-readconfig vm.cfg -M virt -cpu max", Refused("'-readconfig' is not supported")),
    line(
        "service",
        "-name guest=web,process=web-vm -M virt -cpu max -m 256M -kernel nothing -nographic",
        Refused("understage (web): could not open kernel 'nothing' given with -kernel"),
    ),
    line("questions", "-M help", Prints("virt-7.2")),
    line("questions", "-machine virt -cpu help", Prints("cortex-a57")),
    line("questions", "-device help", Prints("name \"virtio-blk-pci\", bus PCI")),
    line("questions", "-device virtio-rng-pci,help", Prints("rng=<str>")),
    line("questions", "-accel help", Prints("tcg")),
    line("questions", "-d help", Prints("guest_errors")),
    line("questions", "--version", Prints("understage")),
];
