/// What is added to a line that runs, and what the refusal says.
pub(super) const REFUSALS: &[(&str, &str)] = &[
    ("-kernel", "the option -kernel needs a value"),
    ("-kernel other", "-kernel is given twice"),
    ("-fw_cfg string=x", "-fw_cfg needs 'name='"),
    ("-fw_cfg name=opt/x", "-fw_cfg needs either file= or string="),
    ("-fw_cfg name=opt/x,string=1 -fw_cfg name=opt/x,string=2", "two -fw_cfg have the name 'opt/x'"),
    ("-boot order=z", "'z' in -boot are no letters of drives"),
    ("-boot strict=on", "'strict=on' in -boot is not supported"),
    ("-smbios type=1", "'-smbios' is not supported"),
];
