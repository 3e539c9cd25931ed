/// What is added to a line that runs, and what the refusal says.
pub(super) const REFUSALS: &[(&str, &str)] = &[
    ("-S", "-S needs a debugger or a monitor that lets the machine go"),
    ("-gdb stdio", "'stdio' given with -gdb is not tcp:HOST:PORT"),
];
