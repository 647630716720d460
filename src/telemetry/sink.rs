use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Lines waiting to be written. More are dropped and counted: a terminal that is stopped or a pipe
/// that nobody reads must not hold up a request.
const QUEUE: usize = 8192;

/// The longest that a flush waits for a blocked reader.
const FLUSH: Duration = Duration::from_secs(1);

/// The handing-in end of a queue of lines, which a thread of its own writes out.
#[derive(Clone)]
pub(super) struct Sink {
    queue: SyncSender<Item>,
    dropped: Arc<AtomicU64>,
}

enum Item {
    Line(Vec<u8>),
    /// Everything handed in before has been written once this is answered.
    Flush(SyncSender<()>),
}

impl Sink {
    pub fn stderr() -> Self {
        Self::new(io::stderr(), QUEUE)
    }

    fn new(out: impl Write + Send + 'static, lines: usize) -> Self {
        let (queue, items) = sync_channel(lines);
        let dropped = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&dropped);
        let spawned = thread::Builder::new()
            .name("log".into())
            .spawn(move || write_out(&items, out, &counted));
        // Without a thread every line is dropped, since nobody receives: a node that cannot log
        // serves all the same.
        drop(spawned);
        Self { queue, dropped }
    }

    /// A writer for one line.
    pub fn line(&self) -> Line {
        Line { sink: self.clone() }
    }

    /// Waits, but not for ever, until what was handed in is written.
    pub fn flush(&self) {
        let deadline = Instant::now() + FLUSH;
        let (done, written) = sync_channel(1);
        while self.queue.try_send(Item::Flush(done.clone())).is_err() {
            if Instant::now() >= deadline {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let _ = written.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

/// The subscriber writes each line in one piece.
pub(super) struct Line {
    sink: Sink,
}

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.sink.queue.try_send(Item::Line(line.to_vec())).is_err() {
            self.sink.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_out(items: &Receiver<Item>, mut out: impl Write, dropped: &AtomicU64) {
    for item in items {
        // A failed write has nowhere to be reported.
        match item {
            Item::Line(line) => {
                let _ = out.write_all(&line);
            }
            Item::Flush(done) => {
                let _ = out.flush();
                let _ = done.try_send(());
            }
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = writeln!(out, "{lost} log lines were dropped: stderr was not read in time");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    /// A reader that can be stopped: writing waits for `gate`.
    #[derive(Clone, Default)]
    struct Pipe {
        gate: Arc<Mutex<()>>,
        written: Arc<Mutex<String>>,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _open = self.gate.lock();
            self.written.lock().push_str(&String::from_utf8_lossy(bytes));
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn say(sink: &Sink, text: &str) {
        sink.line().write_all(text.as_bytes()).expect("writing a line never fails");
    }

    #[test]
    fn lines_come_out_in_order() {
        let pipe = Pipe::default();
        let sink = Sink::new(pipe.clone(), 16);
        say(&sink, "one\n");
        say(&sink, "two\n");
        sink.flush();
        assert_eq!(*pipe.written.lock(), "one\ntwo\n");
    }

    #[test]
    fn a_blocked_reader_costs_lines_but_never_time_and_the_loss_is_told() {
        let pipe = Pipe::default();
        let sink = Sink::new(pipe.clone(), 2);
        let blocked = pipe.gate.lock();
        for _ in 0..100 {
            // Would never return if it waited for the reader.
            say(&sink, "line\n");
        }
        drop(blocked);
        sink.flush();
        let text = pipe.written.lock().clone();
        let came = text.matches("line\n").count();
        assert!(
            (2..=3).contains(&came),
            "two queued, and perhaps one in the writer's hand: {text}"
        );
        let told: usize = text
            .lines()
            .filter_map(|line| {
                line.strip_suffix(" log lines were dropped: stderr was not read in time")
            })
            .map(|count| count.parse::<usize>().expect("a count"))
            .sum();
        assert_eq!(told + came, 100);
    }
}
