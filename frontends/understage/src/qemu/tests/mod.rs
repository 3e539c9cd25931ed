//! QEMU's spelling. Each group of options has its refusals in a file of its own, and more tests where it needs them.

mod board;
mod chardev;
mod cpu;
mod debug;
mod device;
mod drive;
mod host;
mod kernel;
mod memory;

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
    let syntax = [("disk.img", "'disk.img' is not an option (a disk is given with -drive)")];
    let groups = [
        board::REFUSALS,
        chardev::REFUSALS,
        cpu::REFUSALS,
        debug::REFUSALS,
        device::REFUSALS,
        drive::REFUSALS,
        host::REFUSALS,
        kernel::REFUSALS,
        memory::REFUSALS,
    ];
    for (extra, expected) in groups.into_iter().flatten().copied().chain(syntax) {
        let e = machine(&format!("{BASE} {extra}")).unwrap_err();
        assert!(e.contains(expected), "{extra}: {e}");
    }
    assert_eq!(machine("-kernel k -cpu max").unwrap_err(), "-M is needed: the board is 'virt'");
    assert!(machine("-M virt -kernel k").unwrap_err().starts_with("-cpu is needed"));
    assert!(machine("-M virt -cpu max -append x").unwrap_err().contains("-append needs a kernel"));
    assert!(machine("-M virt -cpu max").unwrap_err().contains("nothing to run"));
}
