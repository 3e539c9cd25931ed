//! What CPUs tell each other, and others, of pages and translations.

mod broadcast;
mod revoke;
