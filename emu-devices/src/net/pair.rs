//! Two back ends joined by a cable: what a device sends into one, the device at the other receives.

use super::{Inbox, NetBackend, NetClient};
use std::io;
use std::sync::{Arc, Weak};

/// Two ends of one cable, without a thread: a frame is given to the other end's device on the thread that sends it, or
/// on the one that tells of room ([`Inbox`]).
pub fn pair() -> (Arc<dyn NetBackend>, Arc<dyn NetBackend>) {
    let ends = [Arc::new(Inbox::default()), Arc::new(Inbox::default())];
    let side = |own: usize| Arc::new(Side { own: Arc::clone(&ends[own]), other: Arc::clone(&ends[1 - own]) });
    (side(0), side(1))
}

struct Side {
    own: Arc<Inbox>,
    other: Arc<Inbox>,
}

impl NetBackend for Side {
    fn name(&self) -> &str {
        "pair"
    }

    fn connect(&self, client: Weak<dyn NetClient>) {
        self.own.connect(client);
    }

    fn start(&self) -> io::Result<()> {
        self.own.start();
        Ok(())
    }

    fn pause(&self) {
        self.own.pause();
    }

    fn halt(&self) {
        self.own.halt();
    }

    fn send(&self, frame: &[u8]) {
        self.other.take(frame);
    }

    fn room(&self) {
        self.own.room();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use parking_lot::Mutex;

    use super::*;
    use crate::net::{MAX_FRAME, Receipt};

    /// Frames that wait at most.
    const WAITING: usize = 256;

    /// Takes as many frames as it has room for, and answers so many of them with the same frame.
    #[derive(Default)]
    struct Card {
        taken: Mutex<Vec<Vec<u8>>>,
        room: Mutex<usize>,
        answers: Mutex<usize>,
        cable: OnceLock<Arc<dyn NetBackend>>,
    }

    impl NetClient for Card {
        fn receive(&self, frame: &[u8]) -> Receipt {
            if std::mem::replace(&mut *self.room.lock(), 0) == 0 {
                return Receipt::NoRoom;
            }
            *self.room.lock() = usize::MAX;
            self.taken.lock().push(frame.to_vec());
            let answer = self.answers.lock().checked_sub(1);
            if let Some(left) = answer {
                *self.answers.lock() = left;
                self.cable.get().unwrap().send(frame);
            }
            Receipt::Taken
        }
    }

    fn card(end: Arc<dyn NetBackend>, room: usize, answers: usize) -> Arc<Card> {
        let card = Arc::new(Card { room: Mutex::new(room), answers: Mutex::new(answers), ..Card::default() });
        end.connect(Arc::downgrade(&card) as Weak<dyn NetClient>);
        end.start().unwrap();
        assert!(card.cable.set(end).is_ok());
        card
    }

    #[test]
    fn a_frame_arrives_at_the_other_end_only() {
        let (a, b) = pair();
        let (a, b) = (card(a, 1, 0), card(b, 1, 0));
        a.cable.get().unwrap().send(&[1; 60]);
        assert!(a.taken.lock().is_empty());
        assert_eq!(*b.taken.lock(), [vec![1; 60]]);
    }

    #[test]
    fn what_is_no_frame_is_lost() {
        let (a, b) = pair();
        let b = card(b, 1, 0);
        for length in [0, 1, 14, MAX_FRAME, MAX_FRAME + 1] {
            a.send(&vec![0; length]);
        }
        assert_eq!(b.taken.lock().iter().map(Vec::len).collect::<Vec<_>>(), [1, 14, MAX_FRAME]);
    }

    #[test]
    fn frames_wait_for_room_in_their_order_and_only_so_many() {
        let (a, b) = pair();
        let b = card(b, 0, 0);
        for i in 0..WAITING + 10 {
            a.send(&[i as u8; 14]);
        }
        assert!(b.taken.lock().is_empty());
        *b.room.lock() = 1;
        b.cable.get().unwrap().room();
        let expected: Vec<_> = (0..WAITING).map(|i| vec![i as u8; 14]).collect();
        assert_eq!(*b.taken.lock(), expected);
    }

    #[test]
    fn a_paused_end_gives_nothing_until_it_starts() {
        let (a, b) = pair();
        let b = card(b, 0, 0);
        a.send(&[1; 14]);
        let cable = b.cable.get().unwrap();
        cable.pause();
        *b.room.lock() = 1;
        cable.room();
        a.send(&[2; 14]);
        assert!(b.taken.lock().is_empty());
        cable.start().unwrap();
        assert_eq!(*b.taken.lock(), [vec![1; 14]], "what came while it was paused is lost");
        cable.halt();
        a.send(&[3; 14]);
        assert_eq!(b.taken.lock().len(), 1);
    }

    #[test]
    fn devices_that_answer_each_other_do_not_nest() {
        let (a, b) = pair();
        let (a, b) = (card(a, 1, 100_000), card(b, 1, 100_000));
        a.cable.get().unwrap().send(&[7; 14]);
        assert_eq!((a.taken.lock().len(), b.taken.lock().len()), (100_000, 100_001));
    }
}
