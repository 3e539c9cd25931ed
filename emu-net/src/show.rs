//! The table for monitors.

use std::fmt::Write;
use std::net::SocketAddrV4;

use crate::engine::Engine;

/// The connections and flows that there are, one a line, as `info usernet` has them.
pub(crate) fn table(engine: &Engine) -> String {
    let mut rows = Vec::new();
    for listener in engine.forwards.list() {
        let kind = format!("{}[HOST_FORWARD]", listener.rule.protocol.to_string().to_uppercase());
        rows.push((kind, text(listener.at), text(listener.guest), 0, 0));
    }
    for (connection, state, to_host, to_guest) in engine.tcp.list() {
        let (source, destination) = (connection.key.guest, connection.key.peer);
        let (source, destination) =
            if connection.forwarded { (destination, source) } else { (source, destination) };
        rows.push((format!("TCP[{state}]"), text(source), text(destination), to_host, to_guest));
    }
    for flow in engine.udp.list() {
        let silent = engine.link.now.saturating_sub(flow.last).as_secs();
        let local = flow.socket.local_addr().map_or_else(|_| "*".to_owned(), |at| format!("*:{}", at.port()));
        rows.push((format!("UDP[silent {silent} s]"), text(flow.guest), local, 0, 0));
    }
    rows.sort();
    let mut out = format!(
        "{:<20} {:<21} {:<21} {:>7} {:>7}\n",
        "Protocol[State]", "Source", "Destination", "to host", "to guest"
    );
    for (kind, source, destination, to_host, to_guest) in rows {
        // Writing into a text does not fail.
        let _ = writeln!(out, "{kind:<20} {source:<21} {destination:<21} {to_host:>7} {to_guest:>8}");
    }
    out
}

fn text(at: SocketAddrV4) -> String {
    if at.ip().is_unspecified() { format!("*:{}", at.port()) } else { at.to_string() }
}
