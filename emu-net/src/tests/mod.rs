//! A guest with a stack of its own (smoltcp) on the network, and servers at the host's loopback interface.

mod dhcp;
mod forward;
mod frames;
mod guest;
mod tcp;
mod udp;
