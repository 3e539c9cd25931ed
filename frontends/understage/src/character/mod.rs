//! Character devices: the other ends of serial ports, console ports and monitors.
//!
//! | module | what lives there |
//! |---|---|
//! | [`port`] | every kind of character device as one thing with an output and an input |
//! | [`bell`] | what wakes who serves one |
//! | [`link`] | a connection to somebody who may come and go |
//! | [`socket`], [`telnet`] | TCP and Unix sockets |
//! | [`pty`], [`pipe`] | terminals for other programs, named pipes |
//! | [`mux`] | several users of one device |
//! | [`ring`], [`testdev`] | output that is kept, and output that is obeyed |

pub mod bell;
pub mod link;
pub mod mux;
pub mod pipe;
pub mod port;
pub mod pty;
pub mod ring;
pub mod socket;
pub mod telnet;
pub mod testdev;
#[cfg(test)]
mod tests;

pub use bell::Bell;
pub use link::Peer;
pub use port::Port;
pub use socket::inherited;
