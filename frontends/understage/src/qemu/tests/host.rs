/// What is added to a line that runs, and what the refusal says.
pub(super) const REFUSALS: &[(&str, &str)] = &[
    ("-nic user", "'-nic user' is not supported: there is no network"),
    ("-display gtk", "'-display gtk' is not supported: there is no display"),
];
