/// What is added to a line that runs, and what the refusal says.
pub(super) const REFUSALS: &[(&str, &str)] = &[
    ("-hda x -hdb", "the option -hdb needs a value"),
    ("-sd card", "'-sd' is not supported: the board has no SD card"),
    ("-drive file=x,media=tape", "'media=tape' in -drive is neither disk nor cdrom"),
    ("-blockdev driver=file,filename=x", "-blockdev needs 'node-name='"),
    (
        "-blockdev driver=nbd,node-name=n",
        "'driver=nbd' in -blockdev is not supported (there are file, raw, qcow2)",
    ),
    ("-blockdev driver=raw,node-name=n", "the node 'n' given with -blockdev needs 'file='"),
    (
        "-blockdev driver=file,node-name=n,filename=x",
        "the node 'n' given with -blockdev is not used by anything",
    ),
    (
        "-blockdev driver=raw,file=m,node-name=n -device virtio-blk-pci,drive=n",
        "there is no node 'm' given with -blockdev for the node 'n'",
    ),
    ("-blockdev {\"driver\":[]}", "'driver' is not supported in -blockdev"),
    ("-blockdev {", "-blockdev: EOF while parsing"),
    ("-drive if=none,id=d,file=x", "no -device uses the drive 'x' given with -drive"),
    ("-drive if=ide,file=x", "'if=ide' in -drive is not supported"),
    ("-drive if=none,id=d", "-drive needs 'file='"),
    (
        "-drive file=x,format=vmdk",
        "there is no disk format 'vmdk' (there are raw, qcow2), given as 'format' in",
    ),
    ("-drive file=x,cache=none", "'cache=none' is not supported for a drive: the host's cache is used"),
    ("-drive if=pflash,unit=2,file=x", "there is no flash bank 2"),
    ("-drive if=pflash,format=qcow2,file=x", "flash contents must be a raw image"),
    ("-drive if=none,file=null-co://,format=qcow2,id=d -device virtio-blk-pci,drive=d", "can only be raw"),
    ("-drive if=none,file=x,file.size=1M,id=d -device virtio-blk-pci,drive=d", "are for file=null-co://"),
    ("-bios a -drive if=pflash,unit=0,file=b", "flash bank 0 has two contents"),
    ("-pflash a -pflash b -pflash c", "both have contents"),
];
