//! A disk's requests, executed beside the device that makes them: several at a time.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::thread::{self, JoinHandle};

use parking_lot::{Condvar, Mutex};

use super::{BlockBackend, SECTOR};

/// Something that is done to a disk. Ranges are in bytes.
#[derive(Debug)]
pub enum DiskRequest {
    /// Fills `buffer` from `offset` on.
    Read {
        /// First byte on the disk.
        offset: u64,
        /// As many bytes as it has.
        buffer: Vec<u8>,
    },
    /// Writes `buffer` at `offset`.
    Write {
        /// First byte on the disk.
        offset: u64,
        /// What is written.
        buffer: Vec<u8>,
        /// Force unit access: it is on stable storage when it has ended.
        stable: bool,
    },
    /// What had been written before it was submitted is on stable storage when it has ended.
    Flush,
    /// The contents are no longer needed.
    Discard {
        /// First byte on the disk.
        offset: u64,
        /// Number of bytes.
        len: u64,
    },
    /// The range reads as zeros.
    WriteZeroes {
        /// First byte on the disk.
        offset: u64,
        /// Number of bytes.
        len: u64,
        /// Its storage may be given back.
        may_unmap: bool,
        /// Force unit access.
        stable: bool,
    },
}

/// How a request ended.
#[derive(Debug)]
pub struct DiskDone {
    /// Whether it was done.
    pub result: io::Result<()>,
    /// The buffer that came with the request; of a read that was done, with what was read. Else empty.
    pub buffer: Vec<u8>,
}

/// Who is told of the end of a request. It is called on a thread of the queue (or, of a queue without threads, by
/// [`DiskQueue::submit`]) with no lock held, and must not wait for the guest.
pub type WhenDone = Box<dyn FnOnce(DiskDone) + Send>;

#[derive(Default)]
struct State {
    waiting: VecDeque<(DiskRequest, WhenDone)>,
    /// Submitted and not ended.
    pending: usize,
    stopping: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There is something to do, for one thread, or the end has come, for all.
    work: Condvar,
    /// Nothing is pending.
    idle: Condvar,
}

/// The requests of one disk. They are executed in any order and at the same time: who needs one to be after another
/// submits it when the other has ended.
pub struct DiskQueue {
    backend: Arc<dyn BlockBackend>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// Who is told of another size.
    on_resize: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
}

impl DiskQueue {
    /// A queue in front of `backend` with `threads` threads; with none, requests are executed when they are submitted: for
    /// machines whose runs are to be repeatable.
    pub fn new(backend: Arc<dyn BlockBackend>, threads: usize) -> io::Result<Arc<Self>> {
        let shared = Arc::<Shared>::default();
        // Those that were started end with it if another one cannot be.
        let mut queue = Self { backend, shared, threads: Vec::new(), on_resize: Mutex::default() };
        for n in 0..threads {
            let (backend, shared) = (queue.backend.clone(), queue.shared.clone());
            let thread = thread::Builder::new().name(format!("disk-{n}"));
            queue.threads.push(thread.spawn(move || serve(&*backend, &shared))?);
        }
        Ok(Arc::new(queue))
    }

    /// The disk.
    #[must_use]
    pub fn backend(&self) -> &Arc<dyn BlockBackend> {
        &self.backend
    }

    /// Whom to tell when the disk has another size. The device of a disk that is not told keeps the one that it had.
    pub fn on_resize(&self, told: Box<dyn Fn() + Send + Sync>) {
        self.on_resize.lock().push(told);
    }

    /// Gives the disk another size in bytes, rounded up to whole sectors, when what was submitted has ended.
    pub fn resize(&self, len: u64) -> io::Result<()> {
        let told = self.on_resize.lock();
        if told.is_empty() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "its device knows of one size only"));
        }
        let len = len.checked_next_multiple_of(SECTOR);
        let len = len.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no disk is that large"))?;
        self.drain();
        self.backend.resize(len)?;
        told.iter().for_each(|told| told());
        Ok(())
    }

    /// Begins a request; `done` is told of its end.
    pub fn submit(&self, request: DiskRequest, done: WhenDone) {
        if self.threads.is_empty() {
            return done(execute(&*self.backend, request));
        }
        let mut state = self.shared.state.lock();
        state.pending += 1;
        state.waiting.push_back((request, done));
        drop(state);
        self.shared.work.notify_one();
    }

    /// Does a request on this thread if that does not wait for storage; else gives it back, and nothing was done.
    pub fn try_now(&self, request: DiskRequest) -> Result<DiskDone, DiskRequest> {
        match request {
            DiskRequest::Read { offset, mut buffer } => match self.backend.read_now(offset, &mut buffer) {
                Some(result) => Ok(DiskDone { result, buffer }),
                None => Err(DiskRequest::Read { offset, buffer }),
            },
            DiskRequest::Write { offset, buffer, stable: false } => {
                match self.backend.write_now(offset, &buffer) {
                    Some(result) => Ok(DiskDone { result, buffer }),
                    None => Err(DiskRequest::Write { offset, buffer, stable: false }),
                }
            }
            other => Err(other),
        }
    }

    /// Does a request on this thread, which waits for it.
    pub fn execute(&self, request: DiskRequest) -> DiskDone {
        execute(&*self.backend, request)
    }

    /// Does a request for a task that is polled with a waker ([`emu_core::dma::Task::poll_with`]): at once if that does not
    /// wait for storage, else on a thread, and the task stands still.
    pub async fn run(&self, request: DiskRequest) -> DiskDone {
        let request = match self.try_now(request) {
            Ok(done) => return done,
            Err(request) => request,
        };
        let end = Arc::new(Mutex::new(End { done: None, waker: None }));
        let other = end.clone();
        self.submit(
            request,
            Box::new(move |done| {
                let mut end = other.lock();
                end.done = Some(done);
                let waker = end.waker.take();
                drop(end);
                waker.inspect(Waker::wake_by_ref);
            }),
        );
        poll_fn(|context| {
            let mut end = end.lock();
            if let Some(done) = end.done.take() {
                return Poll::Ready(done);
            }
            end.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Waits until all that was submitted has ended.
    pub fn drain(&self) {
        let mut state = self.shared.state.lock();
        while state.pending > 0 {
            self.shared.idle.wait(&mut state);
        }
    }
}

/// How a request ended that a task waits for, and the task.
struct End {
    done: Option<DiskDone>,
    waker: Option<Waker>,
}

impl Drop for DiskQueue {
    fn drop(&mut self) {
        self.shared.state.lock().stopping = true;
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            // The last owner may be a request's end, on one of these threads.
            if thread.thread().id() != thread::current().id() && thread.join().is_err() {
                tracing::error!("a disk's thread has panicked");
            }
        }
    }
}

fn serve(backend: &dyn BlockBackend, shared: &Shared) {
    let mut state = shared.state.lock();
    loop {
        let Some((request, done)) = state.waiting.pop_front() else {
            if state.stopping {
                return;
            }
            shared.work.wait(&mut state);
            continue;
        };
        drop(state);
        done(execute(backend, request));
        state = shared.state.lock();
        state.pending -= 1;
        if state.pending == 0 {
            shared.idle.notify_all();
        }
    }
}

fn execute(backend: &dyn BlockBackend, request: DiskRequest) -> DiskDone {
    let without = |result| DiskDone { result, buffer: Vec::new() };
    let settled = |result: io::Result<()>, stable: bool| match result {
        Ok(()) if stable => backend.flush(),
        other => other,
    };
    match request {
        DiskRequest::Read { offset, mut buffer } => {
            let result = backend.read_at(offset, &mut buffer);
            DiskDone { result, buffer }
        }
        DiskRequest::Write { offset, buffer, stable } => {
            let result = settled(backend.write_at(offset, &buffer), stable);
            DiskDone { result, buffer }
        }
        DiskRequest::Flush => without(backend.flush()),
        DiskRequest::Discard { offset, len } => without(backend.discard(offset, len)),
        DiskRequest::WriteZeroes { offset, len, may_unmap, stable } => {
            without(settled(backend.write_zeroes(offset, len, may_unmap), stable))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::block::MemoryDisk;

    /// With threads and without, each request tells its end once, with its buffer.
    #[test]
    fn every_request_ends_once() {
        for threads in [0, 3] {
            let disk = Arc::new(MemoryDisk::new("memory", vec![0; 64 << 10]));
            let queue = DiskQueue::new(disk.clone(), threads).unwrap();
            let (send, ends) = mpsc::channel();
            let submit = |n: u64, request| {
                let send = send.clone();
                queue.submit(request, Box::new(move |done| send.send((n, done)).unwrap()));
            };
            for n in 0..100 {
                submit(n, DiskRequest::Write { offset: n * 512, buffer: vec![n as u8; 512], stable: n == 7 });
            }
            queue.drain();
            assert_eq!(disk.flushes(), 1);
            submit(100, DiskRequest::Read { offset: 99 * 512, buffer: vec![0; 512] });
            submit(101, DiskRequest::Read { offset: 64 << 10, buffer: vec![0; 512] });
            submit(102, DiskRequest::Flush);
            queue.drain();
            let mut all: Vec<(u64, DiskDone)> = ends.try_iter().collect();
            all.sort_by_key(|(n, _)| *n);
            assert!(all.iter().map(|(n, _)| *n).eq(0..103));
            assert_eq!((all[100].1.result.is_ok(), &all[100].1.buffer), (true, &vec![99; 512]));
            assert!(all[101].1.result.is_err(), "it is beyond the end");
            assert_eq!(disk.flushes(), 2);
        }
    }
}
