//! How the program ends, and what it leaves behind: the terminal's mode, exit statuses, files.

mod guest;
mod hosts;
mod pty;
mod streams;
mod terminals;
