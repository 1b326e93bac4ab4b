//! A PostgreSQL cluster of a test's own: in a temporary folder, reached over a socket in it, gone with
//! the test.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A running cluster; ends when dropped.
#[derive(Debug)]
pub(crate) struct Cluster {
    folder: PathBuf,
    programs: PathBuf,
    /// Who runs it, where that cannot be who runs the test.
    user: Option<(u32, u32)>,
    settings: Vec<String>,
    /// Part of the socket's name, whether or not it listens elsewhere.
    port: String,
    server: Option<Child>,
}

impl Cluster {
    /// A new one, with its databases as they come.
    pub(crate) fn start() -> Self {
        Self::start_with(&[], &[])
    }

    /// A new one with these settings, such as `max_connections=5`, and copies of these files among its own
    /// under these names.
    pub(crate) fn start_with(settings: &[&str], files: &[(&str, &Path)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("jetstream-pg-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let user = user();
        if let Some((user, group)) = user {
            chown(&folder, Some(user), Some(group)).unwrap();
        }
        let port = settings.iter().find_map(|setting| setting.strip_prefix("port="));
        let port = port.unwrap_or("5432").to_owned();
        let settings = settings.iter().map(ToString::to_string).collect();
        let mut cluster = Self { folder, programs: programs(), user, settings, port, server: None };
        cluster.make();
        files.iter().for_each(|(name, file)| cluster.add_file(name, file));
        cluster.resume();
        cluster
    }

    /// Lays down the files of a new cluster: a copy of one that is kept, for making one takes seconds.
    fn make(&self) {
        let version = self.programs.display().to_string().replace('/', "-");
        let kept = std::env::temp_dir().join(format!("jetstream-pg-new{version}"));
        if !kept.exists() {
            self.run(self.command("initdb").args(INITDB).arg(self.data()));
            self.run(self.command("cp").arg("-a").arg(self.data()).arg(self.folder.join("kept")));
            // Another test may have been faster; then its copy is as good.
            let _ = fs::rename(self.folder.join("kept"), &kept);
            return;
        }
        self.run(self.command("cp").arg("-a").arg(&kept).arg(self.data()));
    }

    /// PostgreSQL takes no key that others can read.
    fn add_file(&self, name: &str, file: &Path) {
        let copy = self.data().join(name);
        fs::copy(file, &copy).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).unwrap();
        if let Some((user, group)) = self.user {
            chown(&copy, Some(user), Some(group)).unwrap();
        }
    }

    fn run(&self, command: &mut Command) -> String {
        let done = command.output().unwrap();
        assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    /// Makes a database; its address.
    pub(crate) fn database(&self, name: &str) -> String {
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.address(name)
    }

    /// The address of a database.
    pub(crate) fn address(&self, database: &str) -> String {
        let folder = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{folder}:{}/{database}", self.port)
    }

    /// What a statement answers, column by column and line by line, as `psql` prints it.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        let mut psql = self.command("psql");
        psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--quiet", "--username=postgres"]);
        psql.args(["--set=ON_ERROR_STOP=1", "--dbname", database, "--command", sql]);
        self.run(psql.arg("--host").arg(&self.folder))
    }

    /// Kills the server, as a machine that fails would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    /// Starts the server again on what it left.
    pub(crate) fn resume(&mut self) {
        let until = Instant::now() + PATIENCE;
        self.server = Some(self.spawn());
        while !self.answers() {
            let log = fs::read_to_string(self.log()).unwrap_or_default();
            assert!(Instant::now() < until, "PostgreSQL does not start: {log}");
            std::thread::sleep(Duration::from_millis(10));
            // While what is left of a killed server still ends, a new one gives up at once.
            let server = self.server.as_mut().expect("set above and below");
            if server.try_wait().unwrap().is_some() {
                self.server = Some(self.spawn());
            }
        }
    }

    fn spawn(&self) -> Child {
        // Whatever happens to the test, its server ends with it.
        let mut server = self.command("setpriv");
        server.args(["--pdeathsig", "KILL", "--"]).arg(self.programs.join("postgres"));
        server.arg("-D").arg(self.data()).arg("-k").arg(&self.folder);
        for setting in ["listen_addresses=", "shared_buffers=16MB", "max_connections=40"]
            .into_iter()
            .chain(self.settings.iter().map(String::as_str))
        {
            server.args(["-c", setting]);
        }
        let log = fs::File::options().create(true).append(true).open(self.log()).unwrap();
        server.stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    fn answers(&self) -> bool {
        let mut ready = self.command("pg_isready");
        let ready = ready.args(["--quiet", "--timeout=1", "--host"]).arg(&self.folder);
        ready.status().unwrap().success()
    }

    /// One of the cluster's programs, as the user who may run it.
    fn command(&self, program: &str) -> Command {
        let own = self.programs.join(program);
        let mut command =
            Command::new(if own.exists() { own.as_path() } else { Path::new(program) });
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command.current_dir(&self.folder).env("HOME", &self.folder).env("PGPORT", &self.port);
        command.stdin(Stdio::null());
        command
    }

    /// Where its data is.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// PostgreSQL refuses to run as root. Debian's packages bring a user for it.
fn user() -> Option<(u32, u32)> {
    let me = Command::new("id").arg("-u").output().unwrap();
    if String::from_utf8_lossy(&me.stdout).trim() != "0" {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let line =
        line.expect("the user postgres, who comes with Debian's package postgresql, is missing");
    let number = |nth: usize| line.split(':').nth(nth).unwrap().parse().unwrap();
    Some((number(2), number(3)))
}

/// The folder with the server's programs: Debian keeps one for each version, none of them in the path.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders = versions.map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let newest = folders.filter(|folder| folder.join("initdb").exists()).max();
    let in_path = || std::env::split_paths(&path).find(|folder| folder.join("initdb").exists());
    newest.or_else(in_path).expect(
        "PostgreSQL is needed for this test and was not found; `cargo xtask test` installs it, or: \
         apt-get install postgresql",
    )
}

const INITDB: [&str; 6] = [
    "--no-sync",
    "--auth=trust",
    "--username=postgres",
    "--encoding=UTF8",
    "--locale=C",
    "--pgdata",
];

/// How long a server may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
