/// What is added to a line that runs, and what the refusal says.
pub(super) const REFUSALS: &[(&str, &str)] =
    &[("-m 2G,slots=2", "'slots=2' is not supported for the RAM in -m"), ("-m lots", "'lots' is not a size")];
