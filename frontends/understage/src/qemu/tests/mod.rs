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
use crate::config::{Blob, Bus, CharBackend, Interfaces, Topology};
use crate::device::block::Block;
use crate::device::entropy::Entropy;

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
             -global virtio-mmio.force-legacy=off \
             -device virtio-serial-pci,iommu_platform=on,max_ports=1 -chardev file,id=c,path=log -device virtconsole,chardev=c \
             -device virtio-rng-pci,iommu_platform=on",
            "--virtualization off --gic 2 --cpu cortex-a72 --memory 512M --firmware u-boot.bin --flash1 /dev/null \
             --disk a,,b.img,readonly,bus=mmio --virtio-console file:log --rng",
        ),
        (
            "-M virt -M virtualization=on -cpu neoverse-n1 -m size=1G -serial null \
             -device loader,file=x.bin,addr=0x48000000,force-raw=on -device loader,addr=0x48000000,cpu-num=0",
            "--gic 2 --cpu neoverse-n1 --memory 1G --serial null --load x.bin@0x48000000 --entry 0x48000000",
        ),
        (
            "-M virt -M virtualization=on -cpu max,pauth-qarma5=on -m size=1G -serial null \
             -device loader,file=x.bin,addr=0x48000000,force-raw=on -device loader,addr=0x48000000,cpu-num=0",
            "--gic 2 --cpu max-qarma5 --memory 1G --serial null --load x.bin@0x48000000 --entry 0x48000000",
        ),
    ];
    for (theirs, ours) in pairs {
        let ours: Vec<OsString> = words(&format!("understage run {ours}"));
        let Ok(crate::cli::Request::Run(mut ours)) = crate::cli::parse(&ours) else { panic!("{ours:?}") };
        // QEMU runs any file as code; our own spelling has --load and --entry for that.
        ours.kernel.iter_mut().for_each(|k| k.raw_allowed = true);
        // Its real-time clock goes on while a debugger has stopped the machine.
        ours.rtc.follows_host = true;
        // The transports of its board are of before virtio 1.0.
        ours.virt.legacy_mmio = !theirs.contains("force-legacy=off");
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
    assert_eq!(c.devices[0].bus, Bus::Pci { slot: Some(5), interfaces: Interfaces::Transitional });
    let files: Vec<_> = c
        .devices
        .iter()
        .map(|d| {
            let disk = d.told::<Block>().unwrap().disk().unwrap();
            assert!(disk.snapshot);
            disk.file.to_str().unwrap()
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
    let syntax = [("-colour", "the option '-colour' is not supported")];
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
    let mut wrong = Vec::new();
    for (extra, expected) in groups.into_iter().flatten().copied().chain(syntax) {
        match machine(&format!("{BASE} {extra}")) {
            Err(e) if e.contains(expected) => {}
            other => wrong
                .push(format!("{extra}\n  expected {expected}\n  got      {:?}", other.map(|_| "a machine"))),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(machine("-kernel k -cpu max").unwrap_err().starts_with("-M is needed: there is no default"));
    assert!(machine("-M virt -kernel k").unwrap_err().starts_with("-cpu is needed"));
    assert!(machine("-M virt -cpu max -append x").unwrap_err().contains("-append needs a kernel"));
    assert!(machine("-M virt -cpu max").unwrap_err().contains("nothing to run"));
}

fn extra(more: &str) -> MachineConfig {
    machine(&format!("{BASE} {more}")).unwrap_or_else(|e| panic!("{more}: {e}"))
}

#[test]
fn disks_without_a_device_are_on_virtio() {
    let c = extra("-hda a -hdb b -cdrom c d");
    let disks: Vec<_> = c
        .devices
        .iter()
        .map(|d| {
            let disk = d.told::<Block>().unwrap().disk().unwrap();
            (disk.file.to_str().unwrap(), disk.readonly)
        })
        .collect();
    assert_eq!(disks, [("a", false), ("b", false), ("c", true), ("d", false)]);
}

#[test]
fn nodes_are_disks_and_flash() {
    let c = extra(
        "-blockdev driver=file,filename=f0,node-name=f,read-only=on -blockdev driver=raw,file=f,node-name=rom \
         -blockdev node-name=vars,driver=raw,file.driver=file,file.filename=v -M pflash0=rom -M pflash1=vars \
         -blockdev {\"driver\":\"qcow2\",\"node-name\":\"d\",\"file\":{\"driver\":\"file\",\"filename\":\"q\"}} \
         -device virtio-blk-device,drive=d,bus=virtio-mmio-bus.3",
    );
    let flash = |n: usize| c.flash[n].as_ref().map(|f| (f.file.to_str().unwrap(), f.readonly));
    assert_eq!((flash(0), flash(1)), (Some(("f0", true)), Some(("v", false))));
    assert_eq!(c.devices[0].bus, Bus::Mmio { transport: Some(3) });
    let disk = c.devices[0].told::<Block>().unwrap().disk().unwrap();
    assert_eq!((disk.format, disk.file.to_str()), (Some(crate::config::DiskFormat::Qcow2), Some("q")));
}

#[test]
fn objects_are_what_refers_to_them() {
    let c = extra(
        "-object rng-random,id=r,filename=/dev/random -device virtio-rng-pci,rng=r -object rng-builtin,id=b \
         -device virtio-rng-device,rng=b -object memory-backend-file,id=m,size=1G,mem-path=ram,share=on,prealloc=on \
         -M memory-backend=m -object iothread,id=io -drive if=none,id=d,file=x -device virtio-blk-pci,drive=d,iothread=io",
    );
    assert_eq!(c.devices[0].told(), Some(&Entropy(Some(HostFile::new("", "/dev/random")))));
    assert_eq!(c.devices[1].told(), Some(&Entropy(None)));
    let file = HostFile::new("", "ram");
    assert_eq!(c.ram.backing, crate::config::RamBacking::File { file, share: true });
    assert_eq!((c.memory, c.ram.prealloc, c.ram.in_core_dump), (1 << 30, true, true));
}

#[test]
fn older_boards_differ_where_a_guest_can_see_it() {
    let board = |version: &str, cpu: &str| machine(&format!("-M {version} -cpu {cpu} -kernel k")).unwrap();
    let newest = board("virt", "max");
    assert_eq!(board("virt-11.1", "max"), newest);
    assert_eq!(board("virt-10.0", "max"), newest);
    let (v9_2, v9_0) = (board("virt-9.2", "max"), board("virt-9.0", "max"));
    assert_eq!((v9_2.cpu.name(), v9_2.cpu_changes.tick_ns), ("max-qarma5", None));
    assert_eq!((v9_0.cpu.name(), v9_0.cpu_changes.tick_ns), ("max-qarma5", Some(16)));
    assert_eq!(board("virt-9.2", "max,pauth-impdef=on").cpu.name(), "max");
    assert_eq!(board("virt-9.2", "cortex-a72").cpu.name(), "cortex-a72");
    let v6_2 = board("virt-6.2,gic-version=3", "max");
    assert!(v6_2.virt.msi == Msi::Its && v6_2.cpu_changes.without.contains(&emu_a64::features::Feat::Lpa2));
    assert_eq!(board("virt-6.1,gic-version=3", "max").virt.msi, Msi::Off);
}

#[test]
fn features_can_be_turned_off() {
    let changed = |cpu: &str| machine(&format!("-M virt -cpu {cpu} -kernel k")).unwrap().cpu_changes;
    use emu_a64::features::Feat;
    let model = |cpu: &str| changed(cpu).apply(emu_pe::model::Model::max());
    assert!(model("max,sve=off,sme=off,aarch64=on,pauth-impdef=on").features.has(Feat::PAuth));
    assert!(!model("max,pauth=off").features.has(Feat::PAuth));
    assert!(!model("max,lpa2=off").features.has(Feat::Lpa2));
    let no_pmu = model("max,pmu=off");
    assert!(!no_pmu.features.has(Feat::Pmuv3) && !no_pmu.features.has(Feat::Pmuv3p5));
    assert_eq!(model("max,cntfrq=62500000").tick_ns, 16);
    assert_eq!(
        changed("cortex-a72,pauth=off,lpa2=off").apply(emu_pe::model::Model::cortex_a72()),
        emu_pe::model::Model::cortex_a72()
    );
}

#[test]
fn the_machine_on_the_host() {
    let c = extra(
        "-name guest=web,process=web-vm,debug-threads=on -uuid 550e8400-e29b-41d4-a716-446655440000 -pidfile p \
         -rtc base=2001-09-09T01:46:40,clock=vm -no-shutdown -action reboot=shutdown,panic=none -overcommit mem-lock=on \
         -fw_cfg name=opt/a,string=b,,c -fw_cfg opt/f,file=F -boot c,menu=on -k de -msg timestamp=on -nouserconfig",
    );
    assert_eq!(c.host.name.as_deref(), Some("web"));
    assert_eq!(c.host.process.as_deref(), Some("web-vm"));
    assert_eq!(c.uuid.unwrap()[..5], [0x55, 0x0e, 0x84, 0x00, 0xe2]);
    assert_eq!(
        c.rtc,
        crate::config::Rtc { base: crate::config::RtcBase::At(1_000_000_000), follows_host: false }
    );
    assert!(c.no_shutdown && c.no_reboot && c.host.lock_memory.is_some());
    let text = |bytes: &[u8]| crate::config::FwCfgContents::Bytes(bytes.to_vec());
    assert_eq!((c.fw_cfg[0].name.as_str(), &c.fw_cfg[0].contents), ("opt/a", &text(b"b,c")));
    assert_eq!((c.fw_cfg[1].name.as_str(), c.boot_menu), ("opt/f", Some(true)));
    let daemon = machine("-M virt -cpu max -kernel k -daemonize -display none -serial file:log").unwrap();
    assert!(daemon.host.daemonize.is_some());
}

#[test]
fn accelerators_are_tried_in_turn() {
    for line in [
        "-accel kvm -accel tcg",
        "-accel tcg -accel hvf",
        "-M accel=kvm:tcg",
        "-M accel=kvm -accel tcg,thread=multi",
    ] {
        assert_eq!(extra(line).accel, crate::config::Accel::default(), "{line}");
    }
    assert_eq!(extra("-accel tcg,thread=single,split-wx=on,one-insn-per-tb=off").topology.cpus(), 1);
}

#[test]
fn more_cpus_may_come_and_never_do() {
    assert_eq!(extra("-smp 2,maxcpus=4").topology, Topology::flat(2));
    assert_eq!(extra("-smp 4,sockets=2,cores=2,maxcpus=4").topology.sockets, 2);
    assert_eq!(extra("-smp 2,sockets=2,cores=2,maxcpus=4").topology, Topology::flat(2));
    assert_eq!(extra("-m 1G,slots=4,maxmem=8G").memory, 1 << 30);
}

#[test]
fn firmware_is_looked_for_where_minus_l_says() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("fw.bin"), b"x").unwrap();
    let c =
        machine(&format!("-M virt -cpu max -L /nowhere -L {} -bios fw.bin", dir.path().display())).unwrap();
    assert_eq!(c.flash[0].as_ref().unwrap().file.value, dir.path().join("fw.bin"));
    assert!(extra("-bios none").flash[0].is_none());
}

#[test]
fn every_list_comes_from_the_tables() {
    let print = |line: &str| match parse(&words(line)) {
        Ok(Request::Print(text)) => text,
        other => panic!("{line}: {other:?}"),
    };
    let lists = [
        ("-M help", "virt-7.2"),
        ("-machine virt,help", "gic-version="),
        ("-cpu help", "neoverse-n1"),
        ("-cpu max,help", "lpa2=<on|off>"),
        ("-accel help", "tcg"),
        ("-device help", "name \"virtio-blk-pci\", bus PCI, alias \"virtio-blk\""),
        ("-device virtio-blk-device,help", "drive=<str>"),
        ("-device loader,help", "force-raw=<bool>"),
        ("-object help", "memory-backend-file"),
        ("-object memory-backend-file,help", "mem-path=<str>"),
        ("-drive help", "snapshot=<bool>"),
        ("-M virt -cpu ?", "cortex-a72"),
    ];
    for (line, expected) in lists {
        assert!(print(line).contains(expected), "{line}: {}", print(line));
    }
    assert!(
        parse(&words("-device mptsas1068,help")).unwrap_err().to_string().contains("'-device mptsas1068'")
    );
}
