//! What a row of the registry says of a kind of device, and what it can be asked whatever the kind is.

use std::any::Any;
use std::sync::Arc;

use emu_devices::pci::PciFunction;
use emu_devices::virtio::VirtioDevice;

use super::line::{CommandLine, Referent, Words};
use super::places::{Place, Spot};
use super::plug::{self, Form, Plug};
use super::site::Site;
use crate::config::{AnySettings, CharBackend, Device, Disk, HostFile, MachineConfig, Settings};
use crate::error::{UserError, user_error};
use crate::fdt::Node;
use crate::keyval::Parts;
use crate::map::Resources;
use crate::property::{self, Property};

/// A kind of device: all that the command lines, the devicetree and the board know of it.
pub struct Row<T: 'static> {
    /// Its name; that of a virtio device is the beginning of several (see [`plug::VIRTIO`]).
    pub name: &'static str,
    /// What lists say of it.
    pub about: &'static str,
    /// Who can ask for it.
    pub given: Given,
    /// The option that `understage run` has for it, beside `--device`.
    pub option: Option<RunOption<T>>,
    /// What it can be told, beside what comes with its bus.
    pub properties: &'static [Property<T>],
    /// What it can be told to use.
    pub references: &'static [Reference<T>],
    /// Whether properties go together; the name is for messages.
    pub check: fn(&T, &str) -> Result<(), UserError>,
    /// What it is plugged into, and how it is built.
    pub model: Model<T>,
}

/// Who can ask for a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Given {
    /// Both command lines.
    Anywhere,
    /// QEMU's spelling; `understage run` has other options for it.
    Qemu,
    /// Nobody: it is the board that has it.
    Board,
}

/// Builds a device from what it was told.
pub type Build<T, D> = fn(&T, &mut dyn Site) -> Result<Arc<D>, UserError>;

/// Makes a device a part of the one that it is plugged into; the text is what messages call it.
pub type Join<T> = fn(T, &Plug, &str, &mut MachineConfig) -> Result<(), UserError>;

/// What a device is plugged into, and how it is built.
pub enum Model<T> {
    /// A virtio device, on PCI or on a transport of the board's.
    Virtio(Build<T, dyn VirtioDevice>),
    /// A PCI function.
    Pci(Build<T, dyn PciFunction>),
    /// A PCI function that has a bus below it, which goes by its id.
    Bridge(Build<T, dyn PciFunction>),
    /// On the system bus, where the map has places for it.
    Platform(Platform<T>),
    /// A port or a namespace, which becomes a part of the device that it is plugged into, and the form of its name.
    Part(&'static [Form], Join<T>),
    /// No device: something in memory.
    Memory(fn(T, &mut MachineConfig) -> Result<(), UserError>),
}

/// What there is to know of a device on the system bus.
pub struct Platform<T> {
    /// Its places in the map: as many as there can be of it, if all are told the same.
    pub places: fn(&T) -> &'static [Resources],
    /// Puts it on the board.
    pub build: fn(&T, Spot, &mut dyn Site) -> Result<(), UserError>,
    /// Its nodes in the devicetree.
    pub nodes: fn(&T, &Resources, &MachineConfig) -> Vec<Node>,
}

/// Something that a device is told to use.
pub struct Reference<T: 'static> {
    /// The property.
    pub name: &'static str,
    /// What is referred to.
    pub to: To<T>,
    /// There must be one.
    pub required: bool,
}

/// What is referred to, and where it goes.
pub enum To<T> {
    /// A disk's contents.
    Drive(fn(&mut T, Disk)),
    /// Where characters go and come from.
    Characters(fn(&mut T, CharBackend)),
    /// Random bytes, of a file or of the host's generator.
    Random(fn(&mut T, Option<HostFile>)),
    /// A thread.
    Thread,
    /// The other end of a network cable, by its name.
    Network(fn(&mut T, String)),
}

/// An option of `understage run` that adds a device.
pub struct RunOption<T> {
    /// Its name, without the dashes.
    pub name: &'static str,
    /// What the help says.
    pub about: &'static str,
    /// Its value.
    pub takes: Takes<T>,
}

/// The value of an option that adds a device.
pub enum Takes<T> {
    /// None: there is a device or not.
    Nothing,
    /// One, which says what the device is told; what the help calls it.
    Value(&'static str, fn(&'static str, &str) -> Result<T, UserError>),
    /// Properties, of which the first one is what the reference of this name is to; for one device each time it is given.
    /// What messages call the device, and what the help calls the value.
    Properties {
        /// The reference.
        first: &'static str,
        /// What messages call the first property.
        called: &'static str,
        /// What messages call the device.
        device: &'static str,
        /// What the help calls the value.
        value: &'static str,
    },
}

/// The shape of an option, for the definition of the command line.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Its name, without the dashes.
    pub name: &'static str,
    /// What the help says.
    pub about: &'static str,
    /// What the help calls its value, if it has one.
    pub value: Option<&'static str>,
    /// It can be given several times.
    pub many: bool,
}

/// A kind of device, whatever its settings are.
pub trait Kind: Sync {
    /// See [`Row::name`].
    fn name(&self) -> &'static str;
    /// See [`Row::about`].
    fn about(&self) -> &'static str;
    /// See [`Row::given`].
    fn given(&self) -> Given;
    /// The forms of its name.
    fn forms(&self) -> &'static [Form];
    /// Its option in `understage run`.
    fn option(&self) -> Option<Shape>;
    /// Whether its devices have a property of this name, beside those that come with the bus.
    fn has(&self, property: &str) -> bool;
    /// What it can be told, beside what comes with the bus, and what the help says of it.
    fn properties(&self) -> Vec<(&'static str, &'static str)>;
    /// Lines of help about what it can be told, beside what comes with the bus.
    fn help(&self, words: &Words) -> Vec<String>;
    /// Adds one, as `parts` say; messages call it `user`.
    fn add(
        &self,
        form: &'static Form,
        parts: Parts,
        user: &str,
        line: &mut dyn CommandLine,
    ) -> Result<(), UserError>;
    /// Adds one, as the value of its option says.
    fn add_by_option(
        &self,
        option: &'static str,
        value: &str,
        line: &mut dyn CommandLine,
    ) -> Result<(), UserError>;
    /// Whether these are the settings of such a device.
    fn is_for(&self, settings: &dyn AnySettings) -> bool;
    /// What a device was told, in the words of its properties.
    fn told(&self, settings: &dyn AnySettings) -> Vec<(&'static str, String)>;
    /// There is a PCI bus below it.
    fn is_bridge(&self) -> bool;
    /// The places on the system bus that a device with these settings can have.
    fn places(&self, settings: &dyn AnySettings) -> &'static [Resources];
    /// Its nodes in the devicetree, if it is there.
    fn nodes(&self, settings: &dyn AnySettings, at: &Resources, machine: &MachineConfig) -> Vec<Node>;
    /// Builds it.
    fn build(
        &self,
        settings: &dyn AnySettings,
        place: Place,
        site: &mut dyn Site,
    ) -> Result<Built, UserError>;
}

/// A device that has been built, and is yet to be plugged in.
pub enum Built {
    /// A virtio device.
    Virtio(Arc<dyn VirtioDevice>),
    /// A PCI function.
    Function(Arc<dyn PciFunction>),
    /// It is on the board.
    Installed,
}

impl<T> To<T> {
    fn referent(&self) -> Referent {
        match self {
            Self::Drive(_) => Referent::Drive,
            Self::Characters(_) => Referent::Characters,
            Self::Random(_) => Referent::Random,
            Self::Thread => Referent::Thread,
            Self::Network(_) => Referent::Network,
        }
    }
}

impl<T: Settings + Default> Row<T> {
    /// Takes references out of `parts`, and what they refer to from `line`.
    fn resolve(
        &self,
        parts: &mut Parts,
        user: &str,
        line: &mut dyn CommandLine,
        into: &mut T,
    ) -> Result<(), UserError> {
        let words = line.words();
        for reference in self.references.iter().filter(|r| words.about(r.to.referent()).is_some()) {
            let Some(name) = parts.take(reference.name)? else {
                if reference.required {
                    let option = parts.option();
                    return Err(user_error!("{option} {user} needs '{}='", reference.name));
                }
                continue;
            };
            match reference.to {
                To::Drive(set) => set(into, line.drive(&name, parts, user)?),
                To::Characters(set) => set(into, line.characters(&name, parts, user)?),
                To::Random(set) => set(into, line.random(&name, parts, user)?),
                To::Thread => line.thread(&name, user)?,
                To::Network(set) => {
                    line.machine().take_netdev(&name, user)?;
                    set(into, name);
                }
            }
        }
        Ok(())
    }

    /// Puts a device with these settings where `plug` says.
    fn plug_in(
        &self,
        settings: T,
        form: &'static Form,
        plug: Plug,
        user: &str,
        line: &mut dyn CommandLine,
    ) -> Result<(), UserError> {
        let machine = line.machine();
        match &self.model {
            Model::Part(_, add) => return add(settings, &plug, user, machine),
            Model::Memory(add) => return add(settings, machine),
            Model::Virtio(_) | Model::Pci(_) | Model::Bridge(_) | Model::Platform(_) => {}
        }
        let (bus, access_platform) = plug.place(user, form, machine)?;
        let (pci, settings) = (plug.pci(form), Box::new(settings));
        machine.devices.push(Device { id: plug.id, bus, pci, access_platform, settings });
        Ok(())
    }
}

impl<T: Settings + Default> Kind for Row<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn given(&self) -> Given {
        self.given
    }

    fn forms(&self) -> &'static [Form] {
        match self.model {
            Model::Virtio(_) => plug::VIRTIO,
            Model::Pci(_) | Model::Bridge(_) => plug::FUNCTION,
            Model::Platform(_) => plug::PLATFORM,
            Model::Part(forms, _) => forms,
            Model::Memory(_) => plug::NO_DEVICE,
        }
    }

    fn option(&self) -> Option<Shape> {
        self.option.as_ref().map(|option| {
            let (value, many) = match option.takes {
                Takes::Nothing => (None, false),
                Takes::Value(value, _) => (Some(value), false),
                Takes::Properties { value, .. } => (Some(value), true),
            };
            Shape { name: option.name, about: option.about, value, many }
        })
    }

    fn has(&self, property: &str) -> bool {
        self.properties.iter().any(|p| p.name == property)
            || self.references.iter().any(|r| r.name == property)
    }

    fn properties(&self) -> Vec<(&'static str, &'static str)> {
        let references = self.references.iter().map(|r| (r.name, "what it uses"));
        self.properties.iter().map(|p| (p.name, p.about)).chain(references).collect()
    }

    fn help(&self, words: &Words) -> Vec<String> {
        let mut lines = property::help_lines(&[self.properties]);
        let references = self.references.iter().filter_map(|r| Some((r.name, words.about(r.to.referent())?)));
        lines.extend(references.map(|(name, about)| property::help_line(name, "str", about)));
        lines
    }

    fn add(
        &self,
        form: &'static Form,
        mut parts: Parts,
        user: &str,
        line: &mut dyn CommandLine,
    ) -> Result<(), UserError> {
        let (mut plug, mut settings) = (line.plug(parts.option()), T::default());
        property::take(&mut parts, form.properties, user, &mut plug)?;
        property::take(&mut parts, &[self.properties], user, &mut settings)?;
        self.resolve(&mut parts, user, line, &mut settings)?;
        property::refuse_leftovers(parts, user)?;
        (self.check)(&settings, user)?;
        self.plug_in(settings, form, plug, user, line)
    }

    fn add_by_option(
        &self,
        option: &'static str,
        value: &str,
        line: &mut dyn CommandLine,
    ) -> Result<(), UserError> {
        let form = &self.forms()[0];
        let Some(takes) = self.option.as_ref().map(|o| &o.takes) else { return Ok(()) };
        let settings = match takes {
            Takes::Nothing => T::default(),
            Takes::Value(_, read) => read(option, value)?,
            Takes::Properties { first, called, device, .. } => {
                let mut parts = Parts::split(option, value);
                let name = parts.take_first(called)?;
                let name = name.ok_or_else(|| user_error!("{option} needs a {called}"))?;
                parts.push(first, &name);
                let form = plug::take_form(&mut parts, self.forms())?;
                return self.add(form, parts, device, line);
            }
        };
        let plug = line.plug(option);
        self.plug_in(settings, form, plug, self.name, line)
    }

    fn is_for(&self, settings: &dyn AnySettings) -> bool {
        (settings as &dyn Any).is::<T>()
    }

    fn told(&self, settings: &dyn AnySettings) -> Vec<(&'static str, String)> {
        let settings = (settings as &dyn Any).downcast_ref::<T>();
        settings.map_or_else(Vec::new, |settings| property::told(&[self.properties], settings))
    }

    fn is_bridge(&self) -> bool {
        matches!(self.model, Model::Bridge(_))
    }

    fn places(&self, settings: &dyn AnySettings) -> &'static [Resources] {
        match (&self.model, (settings as &dyn Any).downcast_ref()) {
            (Model::Platform(platform), Some(settings)) => (platform.places)(settings),
            _ => &[],
        }
    }

    fn nodes(&self, settings: &dyn AnySettings, at: &Resources, machine: &MachineConfig) -> Vec<Node> {
        match (&self.model, (settings as &dyn Any).downcast_ref()) {
            (Model::Platform(platform), Some(settings)) => (platform.nodes)(settings, at, machine),
            _ => Vec::new(),
        }
    }

    fn build(
        &self,
        settings: &dyn AnySettings,
        place: Place,
        site: &mut dyn Site,
    ) -> Result<Built, UserError> {
        let misplaced = || user_error!("there is no place for a device {} there", self.name);
        let settings = (settings as &dyn Any).downcast_ref::<T>().ok_or_else(misplaced)?;
        match (&self.model, place) {
            (Model::Virtio(build), Place::Pci(_) | Place::Mmio(_)) => {
                build(settings, site).map(Built::Virtio)
            }
            (Model::Pci(build) | Model::Bridge(build), Place::Pci(_)) => {
                build(settings, site).map(Built::Function)
            }
            (Model::Platform(platform), Place::Platform(spot)) => {
                (platform.build)(settings, spot, site).map(|()| Built::Installed)
            }
            _ => Err(misplaced()),
        }
    }
}
