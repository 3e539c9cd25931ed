//! An apt of our own: Debian's arm64 archive, with configuration, lists and cache in a directory of the project.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Failure, output};

/// The release of Debian that guests come from.
const SUITE: &str = "trixie";
/// Used if the system is not configured for a Debian mirror.
const DEFAULT_MIRROR: &str = "http://deb.debian.org/debian";
/// Debian's keys, from the package debian-archive-keyring.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A private apt.
pub(crate) struct Apt {
    config: PathBuf,
}

impl Apt {
    /// Writes the configuration below `dir`.
    pub(crate) fn prepare(dir: &Path) -> Result<Self, Failure> {
        if !Path::new(KEYRING).is_file() {
            return Err(format!(
                "Debian's keys are not there ('{KEYRING}'): install the package debian-archive-keyring"
            ));
        }
        let say = |e: std::io::Error| format!("cannot prepare '{}': {e}", dir.display());
        for sub in [
            "state/lists/partial",
            "cache/archives/partial",
            "etc/sources.list.d",
            "etc/apt.conf.d",
            "etc/preferences.d",
            "log",
        ] {
            fs::create_dir_all(dir.join(sub)).map_err(say)?;
        }
        fs::write(dir.join("state/status"), "").map_err(say)?;
        let mirror = system_mirror().unwrap_or_else(|| DEFAULT_MIRROR.into());
        fs::write(dir.join("etc/sources.list.d/debian.sources"), sources(&mirror)).map_err(say)?;
        let config = dir.join("apt.conf");
        fs::write(&config, settings(dir, &transport()?)).map_err(say)?;
        Ok(Self { config })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", &self.config).env("LC_ALL", "C");
        command
    }

    /// Fetches the package lists and checks their signatures.
    pub(crate) fn update(&self) -> Result<(), Failure> {
        let done = output(self.command("apt-get").args(["-q", "update", "--error-on=any"]));
        done.map(drop)
            .map_err(|e| format!("{e}\nthe package lists cannot be fetched: is this machine offline?"))
    }

    /// The package that `package` depends on whose name starts with `prefix`: how a meta-package names the real one.
    pub(crate) fn dependency(&self, package: &str, prefix: &str) -> Result<String, Failure> {
        let text = output(self.command("apt-cache").args(["show", "--no-all-versions", package]))?;
        find_dependency(&String::from_utf8_lossy(&text), prefix)
            .ok_or_else(|| format!("the package {package} depends on no {prefix}*"))
    }

    /// Downloads packages into `dir`, unless they are there; apt checks them against the signed lists. Gives the
    /// files, in order.
    pub(crate) fn download(&self, packages: &[&str], dir: &Path) -> Result<Vec<PathBuf>, Failure> {
        let mut files = Vec::new();
        for package in packages {
            let wanted = output(self.command("apt-get").args(["download", "--print-uris", package]))?;
            let name = file_name(&String::from_utf8_lossy(&wanted))
                .ok_or_else(|| format!("apt does not say where the package {package} is"))?;
            output(self.command("apt-get").args(["-q", "download", package]).current_dir(dir)).map_err(
                |e| format!("{e}\nthe package {package} cannot be fetched: is this machine offline?"),
            )?;
            files.push(dir.join(name));
        }
        Ok(files)
    }
}

/// Unpacks a package's files below `root`.
pub(crate) fn unpack(deb: &Path, root: &Path) -> Result<(), Failure> {
    output(Command::new("dpkg-deb").arg("-x").arg(deb).arg(root)).map(drop)
}

fn sources(mirror: &str) -> String {
    format!(
        "Types: deb\nURIs: {mirror}\nSuites: {SUITE}\nComponents: main\nArchitectures: arm64\nSigned-By: {KEYRING}\n"
    )
}

/// apt's settings: everything below `dir`; `transport` is what the system says about proxies and the like.
fn settings(dir: &Path, transport: &str) -> String {
    let dir = dir.display();
    format!(
        "{transport}\n\
         Dir \"{dir}\";\n\
         Dir::State \"{dir}/state\";\n\
         Dir::State::status \"{dir}/state/status\";\n\
         Dir::Cache \"{dir}/cache\";\n\
         Dir::Log \"{dir}/log\";\n\
         Dir::Etc \"{dir}/etc\";\n\
         APT::Architecture \"arm64\";\n\
         APT::Architectures {{ \"arm64\"; }};\n\
         APT::Sandbox::User \"root\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled \"false\";\n"
    )
}

/// The system's settings for fetching, which the private configuration would otherwise hide: proxies, timeouts.
fn transport() -> Result<String, Failure> {
    let all = output(Command::new("apt-config").arg("dump"))?;
    let all = String::from_utf8_lossy(&all);
    let keep = |l: &&str| l.starts_with("Acquire::http") || l.starts_with("Acquire::Retries");
    Ok(all.lines().filter(keep).collect::<Vec<_>>().join("\n"))
}

/// The Debian mirror that the system uses.
fn system_mirror() -> Option<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        let mut more: Vec<_> = entries.flatten().map(|e| e.path()).collect();
        more.sort();
        files.extend(more);
    }
    files.iter().filter_map(|f| fs::read_to_string(f).ok()).find_map(|text| find_mirror(&text))
}

/// The first address of a Debian archive in a list of sources of either form.
fn find_mirror(text: &str) -> Option<String> {
    let lines = text.lines().map(str::trim).filter(|l| l.starts_with("deb ") || l.starts_with("URIs:"));
    let mut words = lines.flat_map(str::split_whitespace);
    let is_archive = |w: &&str| w.contains("://") && w.trim_end_matches('/').ends_with("/debian");
    words.find(is_archive).map(|w| w.trim_end_matches('/').to_owned())
}

fn find_dependency(control: &str, prefix: &str) -> Option<String> {
    let depends = control.lines().find_map(|l| l.strip_prefix("Depends:"))?;
    let names = depends.split([',', '|']).filter_map(|d| d.split_whitespace().next());
    names.into_iter().find(|n| n.starts_with(prefix)).map(str::to_owned)
}

/// The file's name in what `apt-get download --print-uris` says: `'URI' NAME SIZE HASH`.
fn file_name(text: &str) -> Option<String> {
    let line = text.lines().find(|l| l.starts_with('\''))?;
    let name = line.split_whitespace().nth(1)?;
    // A name from outside is used as a path below ours only if it is one plain name.
    (!name.contains('/') && name.ends_with(".deb")).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_of_either_form() {
        let new = "Types: deb\n# URIs: http://old/debian\nURIs: http://deb.debian.org/debian/\nSuites: x\n";
        assert_eq!(find_mirror(new).as_deref(), Some("http://deb.debian.org/debian"));
        let old = "# deb http://a/debian x main\ndeb http://sec/debian-security x main\n\
                   deb [signed-by=/k.gpg] https://m.example/debian x main\n";
        assert_eq!(find_mirror(old).as_deref(), Some("https://m.example/debian"));
        assert_eq!(find_mirror("deb http://archive.ubuntu.com/ubuntu x main"), None);
    }

    #[test]
    fn meta_packages_name_the_real_one() {
        let control = "Package: linux-image-arm64\nDepends: linux-image-6.12.1+deb13-arm64 (= 6.12.1-1)\n";
        let found = find_dependency(control, "linux-image-");
        assert_eq!(found.as_deref(), Some("linux-image-6.12.1+deb13-arm64"));
        assert_eq!(find_dependency("Package: x\n", "y"), None);
    }

    #[test]
    fn names_of_packages() {
        let said =
            "'http://m/pool/b/busybox-static_1.37_arm64.deb' busybox-static_1%3a1.37_arm64.deb 9 SHA256:ab\n";
        assert_eq!(file_name(said).as_deref(), Some("busybox-static_1%3a1.37_arm64.deb"));
        assert_eq!(file_name("'http://m/x' ../../x.deb 9 h"), None);
        assert_eq!(file_name("E: nothing"), None);
    }

    #[test]
    fn settings_stay_in_the_directory() {
        let text = settings(Path::new("/p/.guests/apt"), "Acquire::http::Proxy \"http://p\";");
        assert!(text.starts_with("Acquire::http::Proxy"));
        assert!(text.contains("Dir::Etc \"/p/.guests/apt/etc\";") && text.contains("\"arm64\""));
    }
}
