//! Addresses, listeners and many connections.

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use bustapi_core::{
    Address, Config, Dispatcher, Listener, Responder, Routed, Server, ServerError, shutdown,
};
use bustapi_http::{Body, Peer, Response, text_response};
use http::StatusCode;

use crate::support::{Client, DEADLINE, get, hello, serve, serve_on, wait_for};

fn unix_path(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("bustapi-{name}-{}", std::process::id()))
}

fn ask_unix(path: &std::path::Path) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_unix_socket_is_served_and_its_file_removed() {
    let path = unix_path("served");
    let listener = Listener::bind(&Address::Unix(path.clone()), 16).unwrap();
    let local = Peer::Unix(Some(path.display().to_string()));
    assert_eq!(listener.local().unwrap(), local);
    assert_eq!(listener.try_clone().unwrap().local().unwrap(), local);
    let answer = |routed: Routed, responder: Responder| {
        let conn = &routed.request.conn;
        let text = format!("{:?} {:?}", conn.remote, conn.local);
        responder.complete(Response::new(Body::from(text)));
    };
    let mut server = serve_on(
        listener,
        Server::new(Config::default(), Dispatcher::to(answer)),
    );
    let reply = ask_unix(&path);
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
    assert!(reply.ends_with(&format!("Unix(None) {local:?}")), "{reply}");
    server.join();
    assert!(!path.exists());
}

#[test]
fn an_abandoned_unix_socket_is_replaced_and_a_live_one_is_not() {
    let path = unix_path("abandoned");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let address = Address::Unix(path.clone());
    let listener = Listener::bind(&address, 16).unwrap();
    let refused = Listener::bind(&address, 16).unwrap_err();
    assert!(
        refused.to_string().contains(&path.display().to_string()),
        "{refused}"
    );
    let server = serve_on(
        listener,
        Server::new(Config::default(), Dispatcher::to(hello)),
    );
    assert!(ask_unix(&path).ends_with("hello"));
    drop(server);

    std::fs::write(&path, "not a socket").unwrap();
    assert!(Listener::bind(&address, 16).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "not a socket");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn an_address_in_use_is_named() {
    let server = serve(Config::default(), hello);
    let taken = Address::Tcp("127.0.0.1".to_owned(), server.address.port());
    let error = Listener::bind(&taken, 16).unwrap_err();
    assert!(matches!(error, ServerError::Bind { .. }));
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot listen on `{taken}`: ")),
        "{error}"
    );
    let nowhere = Address::Tcp("host.invalid".to_owned(), 80);
    assert!(Listener::bind(&nowhere, 16).is_err());
}

#[test]
fn an_address_is_shared_with_those_that_its_listener_makes_only() {
    let first = Listener::bind(&Address::Tcp("127.0.0.1".to_owned(), 0), 16).unwrap();
    let Peer::Tcp(address) = first.local().unwrap() else {
        panic!("not an address of TCP")
    };
    let stranger = || Listener::bind(&Address::Tcp("127.0.0.1".to_owned(), address.port()), 16);
    assert!(stranger().is_err());
    let further = [first.another(16).unwrap(), first.another(16).unwrap()];
    for listener in &further {
        assert_eq!(listener.local().unwrap(), Peer::Tcp(address));
    }
    assert!(stranger().is_err());
    drop(first);
    assert!(stranger().is_err());
    drop(further);
    assert!(stranger().is_ok());
}

#[test]
fn a_unix_socket_has_the_permissions_that_were_asked_for() {
    use std::os::unix::fs::PermissionsExt;

    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let path = unix_path("mode");
    let open = Listener::bind(&Address::Unix(path.clone()), 16).unwrap();
    assert_eq!(mode(&path), 0o777);
    drop(open);
    let guarded = Listener::bind_unix(&path, 16, 0o660).unwrap();
    assert_eq!(mode(&path), 0o660);
    drop(guarded);
    assert!(!path.exists());
}

#[test]
fn the_file_of_a_unix_socket_stays_with_its_owner() {
    let path = unix_path("owner");
    let mut first = Listener::bind(&Address::Unix(path.clone()), 16).unwrap();
    drop(first.another(16).unwrap());
    drop(Listener::adopt(first.as_fd().try_clone_to_owned().unwrap()));
    assert!(path.exists());
    first.leave_file();
    drop(first);
    assert!(path.exists());
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn ipv6_is_served_where_there_is_any() {
    let Ok(listener) = Listener::bind(&Address::Tcp("::1".to_owned(), 0), 16) else {
        // Containers often have none.
        return;
    };
    let server = serve_on(
        listener,
        Server::new(Config::default(), Dispatcher::to(hello)),
    );
    assert_eq!(server.get("/").text(), "hello");
}

#[test]
fn connections_beyond_the_most_wait_for_a_place() {
    let config = Config::default().with_max_connections(2);
    let (given, responders) = mpsc::channel();
    let server = serve(config, move |_: Routed, responder: Responder| {
        given.send(responder).unwrap();
    });
    let hello = || text_response(StatusCode::OK, "hello");
    let mut clients: Vec<_> = (0..3).map(|_| server.connect()).collect();
    let mut open = Vec::new();
    for client in &mut clients[..2] {
        client.send(get("/"));
        open.push(responders.recv_timeout(DEADLINE).unwrap());
    }
    clients[2].send(get("/"));
    // Busy connections make no room. Had the third a place, it would be asked now.
    assert!(responders.recv_timeout(Duration::from_millis(100)).is_err());
    open.remove(0).complete(hello());
    assert_eq!(clients[0].reply().status, 200);
    // It is idle now.
    clients[0].assert_closed();
    responders.recv_timeout(DEADLINE).unwrap().complete(hello());
    assert_eq!(clients[2].reply().status, 200);
    open.remove(0).complete(hello());
    assert_eq!(clients[1].reply().status, 200);
}

/// Set in the process that is to serve.
const SERVE: &str = "BUSTAPI_TEST_SERVE";

/// Whether this process is the server of the test, which it has been until now.
fn was_the_server() -> bool {
    if std::env::var_os(SERVE).is_none() {
        return false;
    }
    let listener = Listener::bind(&Address::Tcp("127.0.0.1".to_owned(), 0), 64).unwrap();
    println!("{:?}", listener.local().unwrap());
    Server::new(Config::default(), Dispatcher::to(hello))
        .run(listener, shutdown::stop_signal)
        .unwrap();
    true
}

/// A server as a process of its own, ended with the test: this test once more, which
/// begins by asking [`was_the_server`].
struct Process {
    child: Child,
    /// Kept open, as the process ends with a word on how its test went.
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts the server under limits of the shell's `ulimit`.
    fn start(test: &str, limits: &str) -> (Self, std::net::SocketAddr) {
        let mut child = Command::new("sh")
            .args(["-c", &format!("{limits} && exec \"$0\" \"$@\"")])
            .arg(std::env::current_exe().unwrap())
            .args([&format!("sockets::{test}"), "--exact", "--nocapture"])
            .env(SERVE, "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut process = Self { child, output };
        let address = process.output.find_map(|line| {
            let line = line.unwrap();
            line.split_once("Tcp(")?.1.strip_suffix(')')?.parse().ok()
        });
        (process, address.expect("the server prints its address"))
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    fn wait(&mut self) -> std::process::ExitStatus {
        let mut status = None;
        wait_for("the process's end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_server_out_of_file_descriptors_recovers() {
    if was_the_server() {
        return;
    }
    let test = "a_server_out_of_file_descriptors_recovers";
    let (_process, address) = Process::start(test, "ulimit -n 24");
    let mut clients: Vec<Client> = (0..40)
        .map(|_| Client::new(TcpStream::connect(address).unwrap()))
        .collect();
    // The first connections have a descriptor and are served meanwhile.
    clients[0].send(get("/"));
    assert_eq!(clients[0].reply().status, 200);
    let mut last = clients.pop().unwrap();
    last.send(get("/"));
    drop(clients);
    assert_eq!(last.reply().status, 200);
}

#[test]
fn signals_stop_a_server() {
    if was_the_server() {
        return;
    }
    for signal in ["INT", "TERM"] {
        let (mut process, address) = Process::start("signals_stop_a_server", "true");
        let mut client = Client::new(TcpStream::connect(address).unwrap());
        client.send(get("/"));
        assert_eq!(client.reply().status, 200);
        process.signal(signal);
        client.assert_closed();
        assert!(process.wait().success(), "SIG{signal}");
    }
}

#[test]
fn a_second_signal_does_not_wait() {
    if was_the_server() {
        return;
    }
    let (mut process, address) = Process::start("a_second_signal_does_not_wait", "true");
    let mut client = Client::new(TcpStream::connect(address).unwrap());
    // A request that never ends holds the server up.
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
    assert_eq!(
        Client::new(TcpStream::connect(address).unwrap()).ask_once(),
        200
    );
    process.signal("TERM");
    wait_for("the listener's end", || {
        TcpStream::connect(address).is_err()
    });
    process.signal("INT");
    assert_eq!(process.wait().code(), Some(130));
}

impl Client {
    fn ask_once(mut self) -> u16 {
        self.send(get("/"));
        self.reply().status
    }
}
