//! The board's serial ports (PL011).

use emu_devices::uart::pl011::Pl011;

use super::feed::{UartOutput, feed_uart};
use super::kind::{Given, Model, Platform, Row};
use super::places::Spot;
use super::site::Site;
use crate::config::{CharBackend, Settings};
use crate::error::UserError;
use crate::fdt::nodes::primecell;
use crate::map;

/// A serial port, by its other end.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Uart(pub CharBackend);

impl Settings for Uart {
    fn characters(&self) -> Vec<&CharBackend> {
        vec![&self.0]
    }
}

/// The row.
pub static UART: Row<Uart> = Row {
    name: "pl011",
    about: "serial port",
    given: Given::Board,
    option: None,
    properties: &[],
    references: &[],
    check: |_, _| Ok(()),
    model: Model::Platform(Platform {
        places: |_| &map::UARTS,
        build,
        nodes: |_, at, _| vec![primecell("pl011", at, &["uartclk", "apb_pclk"])],
    }),
};

fn build(uart: &Uart, spot: Spot, site: &mut dyn Site) -> Result<(), UserError> {
    let port = site.open(&uart.0, &format!("serial{}", spot.number))?;
    let range = spot.resources.range;
    let uart = Pl011::new(
        &format!("pl011@{:x}", range.base),
        site.clock(),
        site.line(spot.resources.spis[0]),
        Box::new(UartOutput(port.clone())),
        site.counters(),
    );
    let feeder = feed_uart(&port, &uart);
    site.map(range, uart.clone())?;
    site.add(uart);
    site.add(feeder);
    Ok(())
}
