//! The networks of the host's sockets, as monitors show and change them.

use std::sync::Arc;

use emu_net::{Config, Forward, UserNet};

use crate::error::{UserError, reason, user_error};

/// Those of a machine.
#[derive(Clone, Default)]
pub struct UserNetworks {
    /// By their ids.
    user: Vec<(String, Arc<UserNet>)>,
}

impl UserNetworks {
    /// Opens one.
    pub(super) fn open(&mut self, id: &str, config: &Config) -> Result<Arc<UserNet>, UserError> {
        let user = UserNet::new(id, config.clone());
        let user = user.map_err(|e| user_error!("the network '{id}': {e}"))?;
        self.user.push((id.to_owned(), user.clone()));
        Ok(user)
    }

    /// The connections of all of them.
    #[must_use]
    pub fn show(&self) -> String {
        self.user.iter().map(|(id, network)| format!("{id}:\n{}", network.show())).collect()
    }

    /// `hostfwd_add`: what it answers.
    #[must_use]
    pub fn add_forward(&self, words: &[&str]) -> String {
        self.with_rule(words, |network, rule| {
            let rule: Forward = rule.parse().map_err(|e| format!("{e}\n"))?;
            let at = network.add_forward(rule);
            let at = at.map_err(|e| format!("the port '{rule}' cannot be forwarded: {}\n", reason(&e)))?;
            // A port that the host chose is one that the user has yet to be told.
            Ok(if rule.listen.port() == 0 { format!("{at}\n") } else { String::new() })
        })
    }

    /// `hostfwd_remove`: what it answers.
    #[must_use]
    pub fn remove_forward(&self, words: &[&str]) -> String {
        self.with_rule(words, |network, rule| {
            let (protocol, listen) = Forward::parse_listener(rule).map_err(|e| format!("{e}\n"))?;
            if network.remove_forward(protocol, listen) {
                Ok(format!("the port {rule} is not forwarded any more\n"))
            } else {
                Err(format!("the port {rule} is not forwarded\n"))
            }
        })
    }

    /// Finds the network that `words` name, or the only one, and does this with it and the rule.
    fn with_rule(
        &self,
        words: &[&str],
        run: impl FnOnce(&UserNet, &str) -> Result<String, String>,
    ) -> String {
        let (found, rule) = match (words, &*self.user) {
            ([rule], [(_, only)]) => (Some(only), rule),
            ([_], []) => return "there is no user-mode network\n".to_owned(),
            ([_], _) => return "there are several user-mode networks: say which\n".to_owned(),
            ([id, rule], all) => (all.iter().find(|(name, _)| name == id).map(|(_, network)| network), rule),
            _ => return "the rule is missing, or there is more than that\n".to_owned(),
        };
        let Some(network) = found else { return format!("there is no user-mode network '{}'\n", words[0]) };
        run(network, rule).unwrap_or_else(|error| error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(ids: &[&str]) -> UserNetworks {
        let mut networks = UserNetworks::default();
        for id in ids {
            networks.open(id, &Config::default()).unwrap();
        }
        networks
    }

    #[test]
    fn ports_are_forwarded_and_not_any_more() {
        let networks = networks(&["u0"]);
        let at = networks.add_forward(&["tcp:127.0.0.1:0-:22"]);
        let at = at.trim();
        assert!(networks.show().contains(&format!("TCP[HOST_FORWARD]    {at}")), "{}", networks.show());
        assert!(networks.add_forward(&["u0", &format!("tcp:{at}-:22")]).contains("cannot be forwarded"));
        assert!(networks.remove_forward(&[&format!("tcp:{at}")]).contains("not forwarded any more"));
        assert!(networks.remove_forward(&[&format!("tcp:{at}")]).contains("is not forwarded"));
        assert!(!networks.show().contains("HOST_FORWARD"));
    }

    #[test]
    fn mistakes_are_named() {
        let rule = "tcp:127.0.0.1:0-:22";
        assert!(networks(&[]).add_forward(&[rule]).contains("no user-mode network"));
        assert!(networks(&["a", "b"]).add_forward(&[rule]).contains("several"));
        assert!(networks(&["a", "b"]).add_forward(&["c", rule]).contains("'c'"));
        assert!(networks(&["a"]).add_forward(&["x"]).contains("'x' is not"));
        assert!(networks(&["a"]).add_forward(&[]).contains("missing"));
        assert!(networks(&["a"]).remove_forward(&["x"]).contains("'x' is not"));
    }
}
