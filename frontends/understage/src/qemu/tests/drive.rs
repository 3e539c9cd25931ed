/// What is added to a line that runs, and what the refusal says.
pub(super) const REFUSALS: &[(&str, &str)] = &[
    ("-hda x", "the option '-hda' is not supported"),
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
];
