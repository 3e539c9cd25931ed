/// What is added to a line that runs, and what the refusal says.
pub(super) const REFUSALS: &[(&str, &str)] = &[
    ("-device nvme,drive=d", "'-device nvme' is not supported: there is no such device here"),
    ("-device virtio-blk-pci,drive=d", "there is no free drive 'd' with if=none for virtio-blk-pci"),
    ("-device virtio-blk-pci", "-device needs 'drive='"),
    ("-device virtio-rng-pci,disable-legacy=off", "'disable-legacy=off' is not supported"),
    ("-device virtio-rng-pci,bus=pci.1", "there is no bus 'pci.1' for virtio-rng-pci"),
    ("-device virtio-rng-pci,addr=20", "'20' is not a free slot"),
    ("-device virtio-rng-pci,addr=3.1", "devices have one function"),
    ("-device virtio-rng-pci,max-bytes=5", "'max-bytes=5' is not supported for virtio-rng-pci in -device"),
    ("-device virtio-rng-device,addr=3", "'addr=3' is not supported for virtio-rng-device in -device"),
    ("-device virtio-serial-pci", "a virtio-serial device has no port"),
    ("-device loader,file=x,addr=0,cpu-num=1,force-raw=on", "only CPU 0 runs after a reset"),
    ("-device loader,file=x,force-raw=on", "'x' given with -device loader needs addr="),
    ("-device loader,addr=0,data=1", "data= in -device loader needs data-len="),
    ("-device loader,addr=0,data=256,data-len=1", "does not fit in 1 bytes"),
    ("-device loader,addr=0", "-device loader needs file="),
];
