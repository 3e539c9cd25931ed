use super::*;
use crate::config::{Disk, DiskFormat, Interfaces};
use crate::device::serial_bus::{ConsolePort, ConsolePorts};

/// What is added to a line that runs, and what the refusal says.
pub(super) const REFUSALS: &[(&str, &str)] = &[
    ("-device mptsas1068", "'-device mptsas1068' is not supported: there is no such device here"),
    ("-device nvme", "nvme needs 'serial='"),
    (
        "-device nvme,serial=x,sriov_max_vfs=1",
        "'sriov_max_vfs=1' is not supported for nvme: there are no virtual functions",
    ),
    ("-device nvme-ns,drive=d", "there is no free drive 'd' with if=none for nvme-ns"),
    ("-device virtio-blk-pci,drive=d", "there is no free drive 'd' with if=none for virtio-blk-pci"),
    ("-device virtio-blk-pci", "-device virtio-blk-pci needs 'drive='"),
    ("-device virtio-rng-device,bus=virtio-mmio-bus.32", "there is no bus 'virtio-mmio-bus.32' in -device"),
    (
        "-device virtio-rng-device,bus=pcie.0",
        "there is no bus 'pcie.0' in -device: there are virtio-mmio-bus.0",
    ),
    ("-device virtio-rng-pci,id=a,id=b", "'id' is given twice in -device"),
    ("-device virtio-rng-pci,id", "'id' in -device needs a value"),
    (
        "-device virtio-rng-pci,packed=on",
        "'packed=on' is not supported for virtio-rng-pci: there are split queues only",
    ),
    (
        "-device virtio-rng-pci,rng=r",
        "there is no -object rng-random or rng-builtin with the id 'r' for virtio-rng-pci",
    ),
    ("-device arm-smmuv3", "arm-smmuv3 needs 'primary-bus=pcie.0'"),
    ("-device arm-smmuv3,primary-bus=pcie.1", "there is no bus 'pcie.1' for an SMMU to be in front of"),
    ("-device arm-smmuv3,primary-bus=pcie.0,stage=3", "'stage=3' is none of 1, 2, nested"),
    (
        "-device arm-smmuv3,primary-bus=pcie.0,oas=45",
        "arm-smmuv3: an output address of 45 bits is not possible",
    ),
    (
        "-device arm-smmuv3,primary-bus=pcie.0,ssidsize=21",
        "arm-smmuv3: a SubstreamID of 21 bits is not possible",
    ),
    (
        "-device arm-smmuv3,primary-bus=pcie.0,sidsize=300",
        "arm-smmuv3: a StreamID of 255 bits is not possible",
    ),
    ("-device arm-smmuv3,primary-bus=pcie.0,aidr=3.3", "'aidr=3.3' is none of 3.0, 3.1, 3.2, auto"),
    (
        "-device arm-smmuv3,primary-bus=pcie.0,stage=2,ssidsize=8",
        "ssidsize of arm-smmuv3 needs stage 1, which chooses contexts by SubstreamIDs",
    ),
    ("-device arm-smmuv3,primary-bus=pcie.0,ats=maybe", "given as 'ats'"),
    (
        "-device arm-smmuv3,primary-bus=pcie.0,accel=on",
        "'accel=on' is not supported for arm-smmuv3: there is no SMMU of the host",
    ),
    (
        "-device arm-smmuv3,primary-bus=pcie.0,msi-gpa=0x8000000",
        "'msi-gpa=0x8000000' is not supported for arm-smmuv3 in -device",
    ),
    ("-device arm-smmuv3,primary-bus=pcie.0,profile=tpu", "there is no SMMU profile 'tpu' (there are qemu"),
    ("-device edu,dma_mask=x", "given as 'dma_mask' in -device"),
    ("-device guest-loader,kernel=k", "-device guest-loader needs addr="),
    ("-device guest-loader,addr=0x48000000", "-device guest-loader needs either kernel= or initrd="),
    ("-device guest-loader,addr=1,initrd=i,bootargs=x", "bootargs in -device guest-loader are for a kernel"),
    ("-device virtio-scsi-pci", "'-device virtio-scsi-pci' is not supported: there is no such device here"),
    ("-device virtio-blk-pci,num-queues=65,drive=d", "num-queues=65 is not from 1 to 64"),
    (
        "-drive if=none,file=x,id=d -device virtio-blk-pci,drive=d,queue-size=3",
        "queue-size=3 is no power of two",
    ),
    (
        "-drive if=none,file=x,id=d -device virtio-blk-pci,drive=d,iothread=t",
        "there is no -object iothread with the id 't'",
    ),
    ("-object rng-random,id=r", "the object 'r' given with -object is not used by anything"),
    ("-object rng-builtin", "-object needs 'id='"),
    ("-object rng-egd,id=r", "'-object rng-egd' is not supported: there is no such object here"),
    ("-object rng-builtin,id=r -object rng-builtin,id=r", "two objects have the id 'r'"),
    (
        "-object iothread,id=t -device virtio-rng-pci,rng=t",
        "the object 't' for virtio-rng-pci is no source of random bytes",
    ),
    ("-object memory-backend-ram,id=m", "-object memory-backend-* needs 'size='"),
    ("-object memory-backend-file,id=m,size=1M", "-object memory-backend-file needs 'mem-path='"),
    (
        "-m 2G -object memory-backend-ram,id=m,size=1G -M memory-backend=m",
        "-m says 2 GiB of RAM, and the object 'm' has 1 GiB",
    ),
    (
        "-device virtio-rng-pci,disable-legacy=on,disable-modern=on",
        "virtio-rng-pci with disable-legacy=on and disable-modern=on is for no driver at all",
    ),
    ("-device virtio-rng-pci,disable-legacy=x", "'x' is neither 'on' nor 'off', given as 'disable-legacy'"),
    (
        "-device virtio-rng-pci,disable-legacy=off,iommu_platform=on",
        "'iommu_platform=on' for virtio-rng-pci needs disable-legacy=on",
    ),
    (
        "-device virtio-rng-pci-transitional,disable-modern=on",
        "'disable-modern=on' is not supported for virtio-rng-pci-transitional in -device",
    ),
    (
        "-device virtio-rng-device,iommu_platform=on",
        "'iommu_platform=on' for virtio-rng-device needs -global virtio-mmio.force-legacy=off",
    ),
    (
        "-global virtio-mmio.force-legacy=x",
        "'x' is neither 'on' nor 'off', given as 'force-legacy' in -global",
    ),
    (
        "-global virtio-mmio.format_transport_address=off",
        "'-global virtio-mmio.format_transport_address=off'",
    ),
    ("-global cfi.pflash01.secure=on", "'-global cfi.pflash01.secure=on' is not supported"),
    (
        "-global virtio-rng-pci.packed=on -device virtio-rng-pci",
        "'packed=on' is not supported for virtio-rng-pci",
    ),
    ("-global force-legacy", "-global needs 'driver='"),
    ("-device virtio-serial-pci,max_ports=32", "max_ports of virtio-serial-pci is 1 to 31"),
    (
        "-device virtio-serial-pci -device virtserialport,nr=0",
        "port 0 of a virtio-serial device is for virtconsole",
    ),
    (
        "-device virtio-serial-pci -device virtserialport,nr=4 -device virtserialport,nr=4",
        "two ports of a virtio-serial device are to have nr=4",
    ),
    (
        "-device virtio-serial-pci,max_ports=1 -device virtconsole -device virtconsole",
        "there is no port for virtconsole: the virtio-serial device has 1",
    ),
    (
        "-device virtio-serial-pci -device virtserialport,bus=a.0",
        "there is no bus 'a.0' for virtserialport before it",
    ),
    ("-device virtio-rng-pci,bus=pci.1", "there is no bus 'pci.1' in -device"),
    ("-device virtio-rng-pci,addr=20", "'addr=20' in -device is not a free slot"),
    ("-device virtio-rng-pci,addr=3.8", "'addr=3.8' in -device is no function: a device has 0 to 7"),
    ("-device virtio-rng-pci,addr=0", "'addr=0' in -device is not a free slot"),
    (
        "-device virtio-rng-pci,bus=rp1 -device pcie-root-port,id=rp1",
        "there is no bus 'rp1' in -device: there is pcie.0, and one below each root port before it",
    ),
    (
        "-device pcie-root-port,id=rp1 -device virtio-rng-pci,bus=rp1,addr=1",
        "'addr=1' in -device: below a root port, as 'rp1', there is slot 0 only",
    ),
    ("-device pcie-root-port,slot=8192", "slot=8192 is not from 0 to 8191"),
    (
        "-device pcie-root-port,io-reserve=4k",
        "'io-reserve=4k' is not supported for pcie-root-port in -device",
    ),
    ("-device pxb-pcie,bus_nr=4", "'-device pxb-pcie' is not supported"),
    ("-device virtio-rng-pci,max-bytes=5", "'max-bytes=5' is not supported for virtio-rng-pci in -device"),
    ("-device virtio-rng-device,addr=3", "'addr=3' is not supported for virtio-rng-device in -device"),
    ("-device loader,file=x,addr=0,cpu-num=1,force-raw=on", "only CPU 0 runs after a reset"),
    ("-device loader,file=x,force-raw=on", "'x' given with -device loader needs addr="),
    ("-device loader,addr=0,data=1", "data= in -device loader needs data-len="),
    ("-device loader,addr=0,data=256,data-len=1", "does not fit in 1 bytes"),
    ("-device loader,addr=0", "-device loader needs file="),
];

fn buses(line: &str) -> Vec<Bus> {
    machine(&format!("{BASE} {line}")).unwrap().devices.iter().map(|d| d.bus).collect()
}

#[test]
fn which_drivers_a_function_is_for() {
    use Interfaces::{Legacy, Modern, Transitional};
    for (device, interfaces) in [
        ("virtio-rng-pci", Transitional),
        ("virtio-rng-pci,disable-legacy=auto", Transitional),
        ("virtio-rng-pci,disable-legacy=off", Transitional),
        ("virtio-rng-pci,disable-legacy=on", Modern),
        ("virtio-rng-pci,disable-modern=on", Legacy),
        ("virtio-rng-pci,iommu_platform=on", Modern),
        ("virtio-rng-pci-transitional", Transitional),
        ("virtio-rng-pci-non-transitional", Modern),
    ] {
        assert_eq!(buses(&format!("-device {device}")), [Bus::Pci { slot: None, interfaces }], "{device}");
    }
}

/// Where something can be plugged in later, it finds the disks that nothing else has.
#[test]
fn disks_wait_for_devices_that_come_later() {
    let disks = "-drive if=none,id=a,file=a.img,readonly=on -blockdev driver=file,node-name=f,filename=b.img \
                 -blockdev driver=qcow2,node-name=b,file=f";
    let spare = machine(&format!("{BASE} -device pcie-root-port {disks}")).unwrap().spare_disks;
    let of = |n: usize| {
        let (id, disk): &(String, Disk) = &spare[n];
        (id.as_str(), disk.file.describe(), disk.format, disk.readonly)
    };
    assert_eq!(of(0), ("a", HostFile::new("-drive", "a.img").describe(), None, true));
    let b = HostFile::new("-blockdev", "b.img").describe();
    assert_eq!((of(1), spare.len()), (("b", b, Some(DiskFormat::Qcow2), false), 2));
    for port in ["", "-device pcie-root-port,hotplug=off"] {
        assert!(machine(&format!("{BASE} {port} {disks}")).is_err());
    }
}

#[test]
fn properties_of_all_devices() {
    let pci = |interfaces| Bus::Pci { slot: None, interfaces };
    let three = "-device virtio-rng-pci -device virtio-rng,disable-legacy=off -device virtio-serial-pci";
    let modern = [Interfaces::Modern, Interfaces::Transitional, Interfaces::Transitional].map(pci);
    for global in
        ["virtio-rng-pci.disable-legacy=on", "driver=virtio-rng-pci,property=disable-legacy,value=on"]
    {
        assert_eq!(buses(&format!("-global {global} {three}")), modern, "{global}");
    }
    let all = [Interfaces::Modern, Interfaces::Transitional, Interfaces::Modern].map(pci);
    assert_eq!(buses(&format!("-global virtio-pci.disable-legacy=on {three}")), all);
    for (line, legacy) in [
        ("", true),
        ("-global virtio-mmio.force-legacy=false", false),
        ("-global driver=virtio-mmio,property=force-legacy,value=off", false),
        ("-global virtio-mmio.force-legacy=on", true),
    ] {
        assert_eq!(machine(&format!("{BASE} {line}")).unwrap().virt.legacy_mmio, legacy, "{line}");
    }
}

#[test]
fn ports_of_virtio_serial_devices() {
    let line = format!(
        "{BASE} -device virtio-serial-device,id=a -device virtio-serial-pci,max_ports=4 -chardev null,id=c \
         -device virtserialport,name=first -device virtconsole,chardev=c -device virtserialport,nr=5,name=fifth \
         -device virtserialport -device virtconsole,bus=virtio-serial-bus.0 -device virtserialport,bus=a.0,name=last"
    );
    let consoles: Vec<_> = machine(&line)
        .unwrap()
        .devices
        .iter()
        .map(|d| d.told::<ConsolePorts>().map(|c| (c.most, c.ports.clone())).unwrap())
        .collect();
    let port = |number, console, name: &str| ConsolePort {
        number,
        console,
        name: name.to_owned(),
        backend: CharBackend::Null,
    };
    let first = vec![
        port(1, false, "first"),
        port(0, true, ""),
        port(5, false, "fifth"),
        port(2, false, ""),
        port(3, false, "last"),
    ];
    assert_eq!(consoles, [(31, first), (4, vec![port(0, true, "")])]);
}
