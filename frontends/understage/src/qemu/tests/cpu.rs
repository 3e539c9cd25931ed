/// What is added to a line that runs, and what the refusal says.
pub(super) const REFUSALS: &[(&str, &str)] = &[
    ("-enable-kvm", "'-enable-kvm' is not supported: instructions are executed in software only"),
    ("-cpu host", "there is no CPU model 'host'"),
    ("-cpu max,pauth=off", "'pauth=off' is not supported for the CPU model max in -cpu"),
    ("-cpu max,sve=on", "'sve=on' is not supported for the CPU model max in -cpu"),
    ("-smp 65", "a machine has 1 to 64 CPUs, not 65"),
    ("-smp 2,threads=2", "threads in -smp can only be 1"),
    ("-smp 2,maxcpus=4", "maxcpus in -smp can only be 2"),
    ("-accel kvm", "'-accel kvm' is not supported: instructions are executed in software only"),
    ("-accel tcg,check=yes", "'yes' is no check (there is lockstep), given as 'check' in -accel"),
    ("-accel tcg,thread=single", "'thread=single' is not supported for the accelerator in -accel"),
    ("-accel tcg,tb-size=1 -smp 2", "-accel tb-size 1 MiB is too little: each CPU needs at least 1 MiB"),
    ("-accel interp -perfmap", "-perfmap is about translated code, and the interpreter does not make any"),
    ("-accel interp -jitdump", "-jitdump is about translated code"),
];
