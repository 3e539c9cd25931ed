//! The messages of a Perfetto trace that are written here: those fields, with the numbers of Perfetto's `trace_packet.proto` and
//! `track_event.proto`.

use prost::Message;

/// A packet; a trace is packets.
#[derive(Clone, PartialEq, Message)]
pub struct Packet {
    /// Nanoseconds of the machine's time.
    #[prost(uint64, optional, tag = "8")]
    pub timestamp: Option<u64>,
    /// Who wrote it: one writer.
    #[prost(uint32, optional, tag = "10")]
    pub trusted_packet_sequence_id: Option<u32>,
    /// An event.
    #[prost(message, optional, tag = "11")]
    pub track_event: Option<TrackEvent>,
    /// A new track.
    #[prost(message, optional, tag = "60")]
    pub track_descriptor: Option<TrackDescriptor>,
}

/// Something on a track.
#[derive(Clone, PartialEq, Message)]
pub struct TrackEvent {
    /// Details.
    #[prost(message, repeated, tag = "4")]
    pub debug_annotations: Vec<DebugAnnotation>,
    /// What it is.
    #[prost(enumeration = "Kind", optional, tag = "9")]
    pub kind: Option<i32>,
    /// Its track.
    #[prost(uint64, optional, tag = "11")]
    pub track_uuid: Option<u64>,
    /// What it can be filtered by.
    #[prost(string, repeated, tag = "22")]
    pub categories: Vec<String>,
    /// What it is called.
    #[prost(string, optional, tag = "23")]
    pub name: Option<String>,
    /// The value of a counter, from now on.
    #[prost(int64, optional, tag = "30")]
    pub counter_value: Option<i64>,
}

/// What an event on a track is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum Kind {
    /// Nothing that is written here.
    Unspecified = 0,
    /// Something begins.
    SliceBegin = 1,
    /// The last thing that began ends.
    SliceEnd = 2,
    /// Something happens.
    Instant = 3,
    /// A counter changes.
    Counter = 4,
}

/// A detail of an event.
#[derive(Clone, PartialEq, Message)]
pub struct DebugAnnotation {
    /// Its value.
    #[prost(uint64, optional, tag = "3")]
    pub uint_value: Option<u64>,
    /// What it is called.
    #[prost(string, optional, tag = "10")]
    pub name: Option<String>,
}

/// A track.
#[derive(Clone, PartialEq, Message)]
pub struct TrackDescriptor {
    /// Its number.
    #[prost(uint64, optional, tag = "1")]
    pub uuid: Option<u64>,
    /// What it is called.
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    /// The track that it is shown under.
    #[prost(uint64, optional, tag = "5")]
    pub parent_uuid: Option<u64>,
    /// It shows a counter.
    #[prost(message, optional, tag = "8")]
    pub counter: Option<CounterDescriptor>,
}

/// What makes a track one of a counter.
#[derive(Clone, PartialEq, Message)]
pub struct CounterDescriptor {
    /// 3 is bytes.
    #[prost(int32, optional, tag = "3")]
    pub unit: Option<i32>,
}

/// The file: packets, each of which is written by itself.
#[derive(Clone, PartialEq, Message)]
pub struct Trace {
    /// In the order in which they were written.
    #[prost(message, repeated, tag = "1")]
    pub packet: Vec<Packet>,
}
