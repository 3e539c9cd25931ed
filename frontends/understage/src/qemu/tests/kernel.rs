/// What is added to a line that runs, and what the refusal says.
pub(super) const REFUSALS: &[(&str, &str)] =
    &[("-kernel", "the option -kernel needs a value"), ("-kernel other", "-kernel is given twice")];
