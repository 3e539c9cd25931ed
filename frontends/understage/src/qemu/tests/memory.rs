/// What is added to a line that runs, and what the refusal says.
pub(super) const REFUSALS: &[(&str, &str)] = &[
    ("-m 2G,maxmem=1G", "maxmem in '-m 2G,maxmem=1G' is less than the RAM"),
    ("-m 2G,colour=red", "'colour=red' is not supported for the RAM in -m"),
    ("-m lots", "'lots' is not a size"),
];
