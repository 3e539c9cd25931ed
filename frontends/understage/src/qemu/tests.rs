use super::*;
use crate::config::{Blob, DeviceKind, Topology, VirtioBus};

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

fn machine(line: &str) -> Result<MachineConfig, String> {
    match parse(&words(line)) {
        Ok(Request::Run(c)) => Ok(*c),
        Ok(Request::Print(t)) => panic!("{t}"),
        Err(e) => Err(e.to_string()),
    }
}

const BASE: &str = "-M virt -cpu max -display none -serial stdio -kernel Image";

#[test]
fn both_spellings_make_the_same_machine() {
    let pairs = [
        (
            "-M virt,virtualization=on,gic-version=3,iommu=none -cpu max -smp 2 -m 2G -display none -monitor none \
             -serial mon:stdio -nic none -no-reboot -kernel Image -initrd base.cpio -append console=ttyAMA0 \
             -drive if=none,id=d0,file=disk0.img,format=raw,snapshot=on \
             -device virtio-blk-pci,drive=d0,disable-legacy=on,iommu_platform=on,serial=S0",
            "--smp 2 --kernel Image --initrd base.cpio --append console=ttyAMA0 --no-reboot \
             --disk disk0.img,format=raw,snapshot,serial=S0",
        ),
        (
            "-machine virt,its=off -cpu cortex-a72 -m 512 -nographic -bios u-boot.bin -pflash /dev/null \
             -drive if=none,id=d,file=a,,b.img,readonly=on -device virtio-blk-device,drive=d,iommu_platform=on \
             -device virtio-serial-pci,iommu_platform=on -chardev file,id=c,path=log -device virtconsole,chardev=c \
             -device virtio-rng-pci,iommu_platform=on",
            "--virtualization off --its off --cpu cortex-a72 --memory 512M --firmware u-boot.bin --flash1 /dev/null \
             --disk a,,b.img,readonly,bus=mmio --virtio-console file:log --rng",
        ),
        (
            "-M virt -M virtualization=on -cpu neoverse-n1 -m size=1G -serial null \
             -device loader,file=x.bin,addr=0x48000000,force-raw=on -device loader,addr=0x48000000,cpu-num=0",
            "--cpu neoverse-n1 --memory 1G --serial null --load x.bin@0x48000000 --entry 0x48000000",
        ),
        (
            "-M virt -M virtualization=on -cpu max,pauth-qarma5=on -m size=1G -serial null \
             -device loader,file=x.bin,addr=0x48000000,force-raw=on -device loader,addr=0x48000000,cpu-num=0",
            "--cpu max-qarma5 --memory 1G --serial null --load x.bin@0x48000000 --entry 0x48000000",
        ),
    ];
    for (theirs, ours) in pairs {
        let ours: Vec<OsString> = words(&format!("understage run {ours}"));
        let Ok(crate::cli::Request::Run(mut ours)) = crate::cli::parse(&ours) else { panic!("{ours:?}") };
        // QEMU runs any file as code; our own spelling has --load and --entry for that.
        ours.kernel.iter_mut().for_each(|k| k.raw_allowed = true);
        assert_eq!(machine(theirs).unwrap(), *ours, "{theirs}");
    }
}

#[test]
fn serial_ports() {
    let serial = |line: &str| machine(&format!("-M virt -cpu max -kernel k {line}")).unwrap().serial;
    assert_eq!(serial("-serial stdio"), CharBackend::Stdio { escapes: false });
    assert_eq!(serial("-serial mon:stdio"), CharBackend::Stdio { escapes: true });
    assert_eq!(serial("-nographic"), CharBackend::Stdio { escapes: true });
    assert_eq!(serial(""), CharBackend::Stdio { escapes: true });
    assert_eq!(serial("-display none"), CharBackend::Null);
    assert_eq!(serial("-nographic -nodefaults"), CharBackend::Null);
    assert_eq!(serial("-serial none"), CharBackend::Null);
    assert_eq!(serial("-chardev stdio,id=c,mux=on -serial chardev:c"), CharBackend::Stdio { escapes: true });
    assert_eq!(serial("-serial file:log"), CharBackend::File(HostFile::new("", "log")));
}

#[test]
fn cpus_and_memory() {
    let topology = |smp: &str| machine(&format!("{BASE} -smp {smp}")).map(|c| c.topology);
    assert_eq!(topology("4"), Ok(Topology::flat(4)));
    assert_eq!(topology("cpus=4,sockets=2"), Ok(Topology { sockets: 2, clusters: 1, cores: 2 }));
    assert_eq!(topology("sockets=2,clusters=2,cores=2,threads=1,maxcpus=8").unwrap().cpus(), 8);
    assert!(topology("4,cores=3").unwrap_err().contains("do not make 4 CPUs"));
    assert!(topology("3,sockets=2").unwrap_err().contains("do not make 3 CPUs"));
    assert!(topology("3,sockets=0").unwrap_err().contains("do not make 3 CPUs"));
    assert_eq!(machine(BASE).unwrap().memory, 128 << 20);
    assert_eq!(machine(&format!("{BASE} -m 2048")).unwrap().memory, 2 << 30);
}

#[test]
fn drives_of_their_own_come_last() {
    let line = format!(
        "{BASE} -drive file=a,if=virtio,format=raw -drive if=none,file=b,id=x -device virtio-blk-pci,drive=x,addr=0x5 \
         -drive if=pflash,unit=1,file=v -snapshot"
    );
    let c = machine(&line).unwrap();
    assert_eq!(c.devices[0].bus, VirtioBus::Pci { slot: Some(5) });
    let files: Vec<_> = c
        .devices
        .iter()
        .map(|d| match &d.kind {
            DeviceKind::Block(disk) if disk.snapshot => disk.file.to_str().unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(files, ["b", "a"]);
    assert!(c.flash[0].is_none() && c.flash[1].as_ref().unwrap().snapshot);
}

#[test]
fn loaders_of_values() {
    let line = format!("{BASE} -device loader,addr=0x40000000,data=0x1234,data-len=4,data-be=on");
    let blobs = machine(&line).unwrap().blobs;
    assert_eq!(blobs, [Blob::Data { bytes: vec![0, 0, 0x12, 0x34], address: 0x4000_0000 }]);
}

#[test]
fn help_and_version() {
    for (arg, expected) in [("-h", "-kernel"), ("--help", "-kernel"), ("-version", "understage 0")] {
        let Ok(Request::Print(text)) = parse(&words(arg)) else { panic!("{arg}") };
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn refusals_name_what_is_refused() {
    let cases = [
        ("-kernel", "the option -kernel needs a value"),
        ("-hda x", "the option '-hda' is not supported"),
        ("disk.img", "'disk.img' is not an option (a disk is given with -drive)"),
        ("-S", "-S needs a debugger that lets the machine go: say where it connects"),
        ("-gdb stdio", "'stdio' given with -gdb is not tcp:HOST:PORT"),
        ("-enable-kvm", "'-enable-kvm' is not supported: instructions are executed in software only"),
        ("-M virt,iommu=smmuv3", "'iommu=smmuv3' in -M is not supported: there is no system MMU yet"),
        (
            "-M virt,gic-version=2",
            "'gic-version=2' in -M is not supported: the interrupt controller is a GICv3",
        ),
        ("-M virt,secure=on", "'secure=on' in -M is not supported"),
        ("-M virt,acpi=on", "'acpi=on' in -M is not supported: there are no ACPI tables yet"),
        ("-M virt,mte", "'mte=on' in -M is not supported"),
        ("-M virt,colour=red", "'colour=red' is not supported for the board in -M"),
        ("-M raspi4b", "there is no board 'raspi4b': -M takes 'virt'"),
        ("-machine virt,its=maybe", "'maybe' is neither 'on' nor 'off', given as 'its' in -machine"),
        ("-cpu host", "there is no CPU model 'host'"),
        ("-cpu max,pauth=off", "'pauth=off' is not supported for the CPU model max in -cpu"),
        ("-cpu max,sve=on", "'sve=on' is not supported for the CPU model max in -cpu"),
        ("-smp 16", "a machine has 1 to 8 CPUs, not 16"),
        ("-smp 2,threads=2", "threads in -smp can only be 1"),
        ("-smp 2,maxcpus=4", "maxcpus in -smp can only be 2"),
        ("-m 2G,slots=2", "'slots=2' is not supported for the RAM in -m"),
        ("-m lots", "'lots' is not a size"),
        ("-accel kvm", "'-accel kvm' is not supported: instructions are executed in software only"),
        ("-accel tcg,check=yes", "'yes' is no check (there is lockstep), given as 'check' in -accel"),
        ("-accel tcg,thread=single", "'thread=single' is not supported for the accelerator in -accel"),
        ("-accel tcg,tb-size=1 -smp 2", "-accel tb-size 1 MiB is too little: each CPU needs at least 1 MiB"),
        (
            "-accel interp -perfmap",
            "-perfmap is about translated code, and the interpreter does not make any",
        ),
        ("-accel interp -jitdump", "-jitdump is about translated code"),
        ("-device nvme,drive=d", "'-device nvme' is not supported: there is no such device here"),
        ("-device virtio-blk-pci,drive=d", "there is no free drive 'd' with if=none for virtio-blk-pci"),
        ("-device virtio-blk-pci", "-device needs 'drive='"),
        ("-device virtio-rng-pci,disable-legacy=off", "'disable-legacy=off' is not supported"),
        ("-device virtio-rng-pci,bus=pci.1", "there is no bus 'pci.1' for virtio-rng-pci"),
        ("-device virtio-rng-pci,addr=20", "'20' is not a free slot"),
        ("-device virtio-rng-pci,addr=3.1", "devices have one function"),
        (
            "-device virtio-rng-pci,max-bytes=5",
            "'max-bytes=5' is not supported for virtio-rng-pci in -device",
        ),
        ("-device virtio-rng-device,addr=3", "'addr=3' is not supported for virtio-rng-device in -device"),
        ("-device virtio-serial-pci", "a virtio-serial device has no port"),
        (
            "-chardev null,id=c -device virtconsole,chardev=c",
            "virtconsole needs a virtio-serial device before it",
        ),
        ("-chardev null,id=c", "the character device 'c' is not used by anything"),
        ("-chardev socket,id=c", "'socket' is not supported in -chardev"),
        ("-chardev stdio,id=c,mux=on,signal=on", "either mux=on"),
        ("-device loader,file=x,addr=0,cpu-num=1,force-raw=on", "only CPU 0 runs after a reset"),
        ("-device loader,file=x,force-raw=on", "'x' given with -device loader needs addr="),
        ("-device loader,addr=0,data=1", "data= in -device loader needs data-len="),
        ("-device loader,addr=0,data=256,data-len=1", "does not fit in 1 bytes"),
        ("-device loader,addr=0", "-device loader needs file="),
        ("-drive if=none,id=d,file=x", "no -device uses the drive 'x' given with -drive"),
        ("-drive if=ide,file=x", "'if=ide' in -drive is not supported"),
        ("-drive if=none,id=d", "-drive needs 'file='"),
        (
            "-drive file=x,format=vmdk",
            "there is no disk format 'vmdk' (there are raw, qcow2), given as 'format' in",
        ),
        ("-drive file=x,cache=none", "'cache=none' is not supported for a drive in -drive"),
        ("-drive if=pflash,unit=2,file=x", "there is no flash bank 2"),
        ("-drive if=pflash,format=qcow2,file=x", "flash contents must be raw"),
        ("-bios a -drive if=pflash,unit=0,file=b", "flash bank 0 has two contents"),
        ("-pflash a -pflash b -pflash c", "both have contents"),
        ("-serial tcp::1", "'-serial tcp::1' is not supported"),
        ("-serial null", "a second -serial is not supported"),
        ("-monitor stdio", "'-monitor stdio' is not supported: there is no monitor"),
        ("-nic user", "'-nic user' is not supported: there is no network"),
        ("-display gtk", "'-display gtk' is not supported: there is no display"),
        ("-kernel other", "-kernel is given twice"),
    ];
    for (extra, expected) in cases {
        let e = machine(&format!("{BASE} {extra}")).unwrap_err();
        assert!(e.contains(expected), "{extra}: {e}");
    }
    assert_eq!(machine("-kernel k -cpu max").unwrap_err(), "-M is needed: the board is 'virt'");
    assert!(machine("-M virt -kernel k").unwrap_err().starts_with("-cpu is needed"));
    assert!(machine("-M virt -cpu max -append x").unwrap_err().contains("-append needs a kernel"));
    assert!(machine("-M virt -cpu max").unwrap_err().contains("nothing to run"));
}
