//! Character devices: the other ends of serial ports, console ports and monitors that are not the user's terminal.
//!
//! | module | what lives there |
//! |---|---|
//! | [`spec`] | what a character device is, as plain data, and its short form |
//! | [`link`] | a connection to somebody who may come and go |
//! | [`socket`], [`telnet`] | TCP and Unix sockets |
//! | [`pty`], [`pipe`] | terminals for other programs, named pipes |
//! | [`mux`] | several users of one device |
//! | [`ring`], [`testdev`] | output that is kept, and output that is obeyed |

pub mod link;
pub mod mux;
pub mod pipe;
pub mod pty;
pub mod ring;
pub mod socket;
pub mod spec;
pub mod telnet;
pub mod testdev;
#[cfg(test)]
mod tests;
