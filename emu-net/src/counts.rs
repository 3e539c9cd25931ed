//! What happened to frames.

/// Counters of one network. They only grow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Frames from guests.
    pub received: u64,
    /// Frames for guests.
    pub sent: u64,
    /// Frames whose headers contradict themselves, or whose checksums are wrong.
    pub malformed: u64,
    /// Frames that the network has no use for: for other stations, of other protocols, to addresses that lead nowhere.
    pub unwanted: u64,
    /// What `restrict` kept inside.
    pub restricted: u64,
    /// Frames, connections and flows that a limit was in the way of.
    pub limited: u64,
}
