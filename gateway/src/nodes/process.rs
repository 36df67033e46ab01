//! One program of a network: a process that outlives the command that started it.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a program may take to end in order.
const GRACE: Duration = Duration::from_secs(10);
/// Most bytes of a log that are read for its last lines.
const TAIL: u64 = 256 * 1024;

/// A program: `NAME.pid` and `NAME.log` in its home.
#[derive(Debug, Clone)]
pub struct Program {
    name: &'static str,
    home: PathBuf,
}

/// How a program is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// In order.
    Terminate,
    /// At once.
    Kill,
}

impl Program {
    pub(super) fn new(name: &'static str, home: &Path) -> Self {
        Self { name, home: home.to_owned() }
    }

    fn pid_file(&self) -> PathBuf {
        self.home.join(format!("{}.pid", self.name))
    }

    /// Its log.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.home.join(format!("{}.log", self.name))
    }

    /// Its process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        let pid = fs::read_to_string(self.pid_file()).ok()?.trim().parse().ok()?;
        self.is_it(pid).then_some(pid)
    }

    /// Whether a process is this program: the number may have gone to another one. Its arguments name its home.
    fn is_it(&self, pid: u32) -> bool {
        let home = self.home.to_string_lossy().into_owned();
        if Path::new("/proc/self").exists() {
            let arguments = arguments(pid);
            return arguments.split(|byte| *byte == 0).any(|argument| argument == home.as_bytes());
        }
        let listed = Command::new("ps").args(["-o", "args=", "-p", &pid.to_string()]).output();
        listed.is_ok_and(|listed| String::from_utf8_lossy(&listed.stdout).contains(&home))
    }

    /// Starts it apart from this process, its output appended to its log.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn start(&self, mut command: Command) -> Result<u32> {
        let path = self.log_file();
        let log = File::options().create(true).append(true).open(&path);
        let log = log.with_context(|| path.display().to_string())?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // Ctrl-C in the terminal is not for it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().with_context(|| format!("{:?} does not start", command.get_program()))?;
        let pid = child.id();
        // Waited for while this process lives, so that its end is seen.
        std::thread::spawn(move || child.wait());
        let path = self.pid_file();
        fs::write(&path, format!("{pid}\n")).with_context(|| path.display().to_string())?;
        Ok(pid)
    }

    /// Ends it, and waits for its end. Whether it ran.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&self, signal: Signal) -> Result<bool> {
        let Some(pid) = self.pid() else { return Ok(false) };
        send(pid, signal)?;
        if !self.ends_within(pid, GRACE) {
            send(pid, Signal::Kill)?;
            if !self.ends_within(pid, GRACE) {
                bail!("process {pid} ({} in {}) does not end", self.name, self.home.display());
            }
        }
        // The next one writes its own.
        let _ = fs::remove_file(self.pid_file());
        Ok(true)
    }

    fn ends_within(&self, pid: u32, limit: Duration) -> bool {
        let started = Instant::now();
        while self.is_it(pid) {
            if started.elapsed() > limit {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// The last lines of its log.
    #[must_use]
    pub fn last_lines(&self, count: usize) -> Vec<String> {
        let read = || {
            let mut file = File::open(self.log_file())?;
            let end = file.metadata()?.len();
            file.seek(SeekFrom::Start(end.saturating_sub(TAIL)))?;
            let mut bytes = vec![];
            file.take(TAIL).read_to_end(&mut bytes)?;
            Ok::<_, std::io::Error>(bytes)
        };
        let text = read().unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines.iter().skip(lines.len().saturating_sub(count)).map(|line| (*line).to_owned()).collect()
    }
}

/// A process's arguments as Linux shows them, each ended by a zero byte; nothing of one that has ended. For a moment
/// after its start a process has none.
fn arguments(pid: u32) -> Vec<u8> {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    for _ in 0..100 {
        let Ok(arguments) = fs::read(folder.join("cmdline")) else { break };
        let state = fs::read_to_string(folder.join("stat")).unwrap_or_default();
        // The state comes after the name, which is in brackets; Z has ended and was not waited for.
        let ended = state.rsplit(')').next().is_none_or(|rest| rest.trim_start().starts_with(['Z', 'X']));
        if !arguments.is_empty() || ended {
            return arguments;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    vec![]
}

/// Sends a signal by the shell, which every system has.
fn send(pid: u32, signal: Signal) -> Result<()> {
    let name = match signal {
        Signal::Terminate => "TERM",
        Signal::Kill => "KILL",
    };
    let script = format!("kill -{name} \"$1\"");
    // A failure means that it has ended meanwhile, which the caller waits for.
    Command::new("sh").args(["-c", &script, "sh", &pid.to_string()]).stderr(Stdio::null()).status()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_known_by_its_home_and_ends_when_told() {
        let dir = tempfile::tempdir().unwrap();
        let program = Program::new("node", dir.path());
        assert_eq!(program.pid(), None);
        for (runs, signal) in [(1, Signal::Terminate), (2, Signal::Kill)] {
            let mut command = Command::new("sh");
            command.args(["-c", "echo started; while :; do sleep 0.05; done", "sh"]).arg(dir.path());
            let pid = program.start(command).unwrap();
            assert_eq!(program.pid(), Some(pid));
            let started = Instant::now();
            while program.last_lines(5).len() < runs {
                assert!(started.elapsed() < GRACE, "it says nothing");
                std::thread::sleep(Duration::from_millis(5));
            }
            assert!(program.stop(signal).unwrap());
            assert_eq!(program.pid(), None);
            assert!(!program.stop(signal).unwrap());
        }
        assert_eq!(program.last_lines(1), ["started"]);
    }

    #[test]
    fn the_number_of_another_process_is_not_the_program() {
        let dir = tempfile::tempdir().unwrap();
        let program = Program::new("node", dir.path());
        std::fs::write(program.pid_file(), format!("{}\n", std::process::id())).unwrap();
        assert_eq!(program.pid(), None);
        assert!(!program.stop(Signal::Kill).unwrap());
    }
}
