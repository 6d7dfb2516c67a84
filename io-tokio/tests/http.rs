//! HTTP both ways, over real sockets.

mod support;

use std::time::Duration;

use labman_io_tokio::{HttpLimits, IoConfig, http_client};
use labman_proto_core::http::{RequestHead, ResponseHead};
use labman_proto_core::limits::STREAM_WINDOW;
use labman_proto_core::machine::{Input, ResetCode, StreamId};
use support::{Notes, Script, Seen, run, tcp, within, witness};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn server() -> (IoConfig, String) {
    let (listener, address) = tcp();
    (IoConfig { name: "server".into(), public_http: Some(listener), ..IoConfig::default() }, address)
}

/// Answers once it has the whole body, with the body in two pieces.
fn parrot(notes: Notes) -> Script {
    let mut heard = Vec::new();
    Script::new(move |input, out| {
        notes.note(&input);
        match input {
            Input::Bytes { stream, bytes } => {
                heard.extend_from_slice(bytes);
                out.grant(stream, bytes.len());
            }
            Input::Finished { stream } => {
                out.respond(stream, ResponseHead::new(200).with("content-type", "text/plain"));
                out.send(stream, b"you said: ".to_vec());
                out.send(stream, std::mem::take(&mut heard));
                out.finish(stream);
            }
            _ => {}
        }
    })
}

/// Begins an endless answer to each request, and sends more whenever some was taken.
fn endless(notes: Notes) -> Script {
    Script::new(move |input, out| {
        notes.note(&input);
        match input {
            Input::Request { stream, .. } => {
                out.respond(stream, ResponseHead::new(200));
                out.send(stream, vec![b'x'; STREAM_WINDOW as usize]);
            }
            Input::Credit { stream, bytes } => out.send(stream, vec![b'x'; bytes as usize]),
            _ => {}
        }
    })
}

async fn raw(address: &str, request: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request).await.unwrap();
    socket
}

async fn read_to_end(mut socket: TcpStream) -> String {
    let mut text = Vec::new();
    within(socket.read_to_end(&mut text)).await.unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_request_reaches_the_machine_and_its_answer_streams_back() {
    let (notes, mut machine) = witness();
    let (io, address) = server();
    let running = run(io, parrot(notes)).await;
    let url = format!("http://{address}/say?loud=1");
    let answer = within(http_client::post(&url, Some("sk-1"), b"hello".to_vec())).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(within(answer.rest()).await.unwrap(), b"you said: hello");

    let (_, head) = machine.request().await;
    assert_eq!((head.method.as_str(), head.path.as_str()), ("POST", "/say?loud=1"));
    assert_eq!(head.bearer(), Some("sk-1"));
    assert_eq!(head.header("content-type"), Some("application/json"));
    within(running.stop()).await;
}

#[tokio::test]
async fn pieces_arrive_as_they_are_sent_and_not_only_at_the_end() {
    let (notes, mut machine) = witness();
    let (io, address) = server();
    let mut first = None;
    // The second request, which the client sends once it has the first answer's first piece, ends the first answer.
    let script = Script::new(move |input, out| {
        notes.note(&input);
        if let Input::Request { stream, .. } = input {
            out.respond(stream, ResponseHead::new(200));
            match first.take() {
                None => {
                    first = Some(stream);
                    out.send(stream, b"one".to_vec());
                }
                Some(first) => {
                    out.send(first, b"two".to_vec());
                    out.finish(first);
                    out.finish(stream);
                }
            }
        }
    });
    let running = run(io, script).await;
    let url = format!("http://{address}/");
    let mut streamed = within(http_client::request("GET", &url, &[], Vec::new())).await.unwrap();
    assert_eq!(within(streamed.chunk()).await.unwrap().as_deref(), Some(&b"one"[..]));
    within(http_client::request("GET", &url, &[], Vec::new())).await.unwrap();
    assert_eq!(within(streamed.rest()).await.unwrap(), b"two");
    machine.request().await;
    within(running.stop()).await;
}

#[tokio::test]
async fn a_client_that_leaves_is_a_reset_and_until_then_takes_no_more_than_it_reads() {
    let (notes, mut machine) = witness();
    let (io, address) = server();
    let running = run(io, endless(notes)).await;
    let mut answer =
        within(http_client::request("GET", &format!("http://{address}/"), &[], Vec::new())).await.unwrap();
    within(answer.chunk()).await.unwrap();
    drop(answer);
    assert_eq!(machine.reset().await, ResetCode::Cancelled);
    within(running.stop()).await;
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_is_a_reset_too() {
    let (notes, mut machine) = witness();
    let (io, address) = server();
    let running = run(io, Script::new(move |input, _| notes.note(&input))).await;
    let socket = raw(&address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (asked, _) = machine.request().await;
    drop(socket);
    let code = machine.until(|seen| match seen {
        Seen::Reset(stream, code) if stream == asked => Some(code),
        _ => None,
    });
    assert_eq!(code.await, ResetCode::Cancelled);
    within(running.stop()).await;
}

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let (notes, mut machine) = witness();
    let (io, address) = server();
    // Refuses at the first byte, and never grants more than the first window.
    let script = Script::new(move |input, out| {
        notes.note(&input);
        if let Input::Request { stream, .. } = input {
            out.respond_json(stream, 413, &"too large");
        }
    });
    let running = run(io, script).await;
    let url = format!("http://{address}/");
    let answer = within(http_client::post(&url, None, vec![b'x'; 3 * 1024 * 1024])).await.unwrap();
    assert_eq!(answer.status, 413);
    assert_eq!(within(answer.rest()).await.unwrap(), b"\"too large\"");
    machine.request().await;
    within(running.stop()).await;
}

#[tokio::test]
async fn a_reset_by_the_machine_cuts_the_answer_so_that_it_can_not_pass_for_whole() {
    let (io, address) = server();
    let script = Script::new(move |input, out| match input {
        Input::Request { stream, .. } => {
            out.respond(stream, ResponseHead::new(200));
            out.send(stream, b"half".to_vec());
        }
        Input::Credit { stream, .. } => out.reset(stream, ResetCode::Internal),
        _ => {}
    });
    let running = run(io, script).await;
    let answer = within(http_client::request("GET", &format!("http://{address}/"), &[], Vec::new())).await;
    // The cut may come before the head is read, or after.
    if let Ok(answer) = answer {
        within(answer.rest()).await.unwrap_err();
    }
    within(running.stop()).await;
}

#[tokio::test]
async fn a_stalled_body_is_answered_408_and_is_a_reset_to_the_machine() {
    let (notes, mut machine) = witness();
    let (mut io, address) = server();
    io.http = HttpLimits { body_idle: Duration::from_millis(50), ..HttpLimits::default() };
    let running = run(io, parrot(notes)).await;
    let socket = raw(&address, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhal").await;
    assert!(read_to_end(socket).await.starts_with("HTTP/1.1 408 "));
    assert_eq!(machine.reset().await, ResetCode::Cancelled);
    within(running.stop()).await;
}

#[tokio::test]
async fn a_body_that_breaks_off_is_answered_400_and_gives_its_connection_back() {
    let (notes, mut machine) = witness();
    let (io, address) = server();
    let io = IoConfig { http: HttpLimits { connections_per_address: 1, ..HttpLimits::default() }, ..io };
    let running = run(io, parrot(notes)).await;
    let short = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhal";
    let garbled = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nno length\r\n";
    // Each has the only place, so each gets it from the one before.
    for request in [short, garbled, short] {
        let mut socket = raw(&address, request.as_bytes()).await;
        socket.shutdown().await.unwrap();
        let answer = read_to_end(socket).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer:?}");
        assert_eq!(machine.reset().await, ResetCode::Cancelled);
    }
    within(running.stop()).await;
}

#[tokio::test]
async fn a_silent_or_unfinished_head_is_cut_off_and_an_oversized_one_refused() {
    let (notes, mut machine) = witness();
    let (mut io, address) = server();
    io.http = HttpLimits { header_timeout: Duration::from_millis(50), ..HttpLimits::default() };
    let running = run(io, parrot(notes)).await;
    assert_eq!(read_to_end(raw(&address, b"GET / HT").await).await, "", "cut off");
    assert_eq!(read_to_end(raw(&address, b"").await).await, "", "cut off");

    let many: String = (0..65).map(|n| format!("x-{n}: y\r\n")).collect();
    let many = format!("GET / HTTP/1.1\r\n{many}\r\n");
    assert!(read_to_end(raw(&address, many.as_bytes()).await).await.starts_with("HTTP/1.1 431 "));
    let long = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(40 * 1024));
    let answer = read_to_end(raw(&address, long.as_bytes()).await).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    within(running.stop()).await;
    assert_eq!(machine.has_seen(), [Seen::Leave], "none of it is the machine's business");
}

#[tokio::test]
async fn a_body_of_two_lengths_is_refused_and_nothing_behind_it_is_a_request() {
    let (notes, mut machine) = witness();
    let (io, address) = server();
    let running = run(io, parrot(notes)).await;
    let (counted, chunked) = ("content-length: 5\r\n", "transfer-encoding: chunked\r\n");
    let cases = [
        format!("{counted}{chunked}"),
        format!("{chunked}{counted}"),
        format!("{counted}content-length: 6\r\n"),
        format!("{chunked}{chunked}"),
        "host: y\r\n".to_string(),
    ];
    for lengths in cases {
        let request = format!(
            "POST / HTTP/1.1\r\nhost: x\r\n{lengths}\r\n0\r\n\r\nGET /second HTTP/1.1\r\nhost: x\r\n\r\n"
        );
        let answer = read_to_end(raw(&address, request.as_bytes()).await).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{lengths}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{lengths}: {answer}");
    }
    within(running.stop()).await;
    assert_eq!(machine.has_seen(), [Seen::Leave], "none of it is the machine's business");
}

#[tokio::test]
async fn what_is_refused_without_the_machine_looks_like_any_error() {
    let (io, address) = server();
    let running = run(io, parrot(witness().0)).await;
    let many: String = (0..65).map(|n| format!("x-{n}: y\r\n")).collect();
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{many}\r\n");
    let answer = read_to_end(raw(&address, many.as_bytes()).await).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 431 ") && head.contains("x-request-id: req_"), "{head}");
    let error: serde_json::Value = serde_json::from_str(body).unwrap();
    let keys: Vec<_> = error["error"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["code", "message", "param", "type"]);
    within(running.stop()).await;
}

#[tokio::test]
async fn where_all_places_are_taken_whoever_asks_for_nothing_makes_room() {
    let (notes, mut machine) = witness();
    let (mut io, address) = server();
    // No time-out makes room here.
    let long = Duration::from_secs(3600);
    io.http = HttpLimits { connections: 4, header_timeout: long, body_idle: long, ..HttpLimits::default() };
    let running = run(io, endless(notes)).await;
    let asks = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    let heard = |path: &'static str| {
        move |seen| matches!(seen, Seen::Request(_, head) if head.path == path).then_some(())
    };
    // Its second request, so that it was idle in between.
    let mut busy = raw(&address, b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999\r\n\r\n").await;
    machine.request().await;
    drop(busy);
    busy = raw(&address, asks("/busy").as_bytes()).await;
    machine.until(heard("/busy")).await;
    // More than there are places: silent, with half a head, with half a body.
    let mut strangers = Vec::new();
    for half in ["", "GET / HT", "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf", "", "", ""] {
        strangers.push(raw(&address, half.as_bytes()).await);
    }
    let _honest = raw(&address, asks("/honest").as_bytes()).await;
    machine.until(heard("/honest")).await;
    // The one that is served is served on.
    let mut some = vec![0; 4 * STREAM_WINDOW as usize];
    within(busy.read_exact(&mut some)).await.unwrap();
    drop(busy);
    within(running.stop()).await;
}

#[tokio::test]
async fn one_address_gets_its_share_of_connections() {
    let (io, address) = server();
    let io = IoConfig { http: HttpLimits { connections_per_address: 1, ..HttpLimits::default() }, ..io };
    let (notes, mut machine) = witness();
    let running = run(io, endless(notes)).await;
    let first = raw(&address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    machine.request().await;
    // Whether the kernel says so with an end or a reset is its own business: there is no answer.
    let mut second = TcpStream::connect(&address).await.unwrap();
    let mut answer = Vec::new();
    let _ = within(second.read_to_end(&mut answer)).await;
    assert_eq!(answer, b"");
    drop(first);
    within(running.stop()).await;
}

#[tokio::test]
async fn stopping_lets_an_open_exchange_end_and_takes_no_new_one() {
    let (notes, mut machine) = witness();
    let (io, address) = server();
    let running = run(io, parrot(notes).staying_for(1)).await;
    let mut socket = raw(&address, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhel").await;
    machine.until(|seen| matches!(seen, Seen::Bytes(..)).then_some(())).await;

    let stopping = tokio::spawn(running.stop());
    // Its listener goes with the last exchange, so whoever comes now is not heard.
    socket.write_all(b"lo").await.unwrap();
    assert!(read_to_end(socket).await.ends_with("0\r\n\r\n"), "the answer is whole");
    within(stopping).await.unwrap();
    assert!(TcpStream::connect(&address).await.is_err(), "nobody listens any more");
}

fn asking(url: String, notes: Notes) -> Script {
    Script::new(move |input, out| {
        notes.note(&input);
        if let Input::Bytes { stream, bytes } = input {
            out.grant(stream, bytes.len());
        }
    })
    .saying(move |out| {
        out.request(&url, RequestHead::new("POST", "/v1/x").with("x-labman", "1"), b"question".to_vec());
    })
}

#[tokio::test]
async fn a_machine_asks_another_and_gets_its_answer() {
    let (server_notes, mut served) = witness();
    let (client_notes, mut client) = witness();
    let (io, address) = server();
    let server_runs = run(io, parrot(server_notes)).await;
    let client_runs = run(IoConfig::default(), asking(format!("http://{address}"), client_notes)).await;

    let (asked, head) = client
        .until(|seen| match seen {
            Seen::Response(stream, head) => Some((stream, head)),
            _ => None,
        })
        .await;
    assert_eq!((asked, head.status), (StreamId(2), 200));
    assert_eq!(head.header("content-type"), Some("text/plain"));
    assert_eq!(client.body(asked).await, b"you said: question");

    let (_, head) = served.request().await;
    assert_eq!((head.path.as_str(), head.header("x-labman")), ("/v1/x", Some("1")));
    assert_eq!(head.header("content-length"), Some("8"), "a whole body goes out with its length");
    within(client_runs.stop()).await;
    within(server_runs.stop()).await;
}

#[tokio::test]
async fn a_request_that_meets_a_connection_which_just_ends_is_asked_again_once() {
    let (listener, address) = tcp();
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    // Takes each request, and answers from the `answers_from`th connection on.
    let serve = async |answers_from: usize| {
        for number in 0.. {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut some = [0; 1024];
            assert!(socket.read(&mut some).await.unwrap() > 0);
            if number >= answers_from {
                socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
                return;
            }
        }
    };
    for (answers_from, answered) in [(1, true), (2, false)] {
        let (notes, mut client) = witness();
        let running = run(IoConfig::default(), asking(format!("http://{address}"), notes)).await;
        let told = client.until(|seen| match seen {
            Seen::Response(..) => Some(true),
            Seen::Reset(_, ResetCode::Unreachable) => Some(false),
            _ => None,
        });
        let served = serve(answers_from);
        let told = tokio::select! {
            told = told => told,
            () = async { served.await; std::future::pending().await } => unreachable!(),
        };
        assert_eq!(told, answered, "{answers_from} connections ended");
        within(running.stop()).await;
    }
}

#[tokio::test]
async fn what_can_not_be_asked_is_unreachable() {
    let (gone, address) = tcp();
    drop(gone);
    for url in [format!("http://{address}"), "https://127.0.0.1:1".into(), "no url".into()] {
        let (notes, mut client) = witness();
        let running = run(IoConfig::default(), asking(url, notes)).await;
        assert_eq!(client.reset().await, ResetCode::Unreachable);
        within(running.stop()).await;
    }
}

#[tokio::test]
async fn an_answer_is_read_no_further_than_granted_and_a_reset_hangs_up() {
    let (server_notes, mut served) = witness();
    let (client_notes, mut client) = witness();
    let (io, address) = server();
    let server_runs = run(io, endless(server_notes)).await;
    let mut got = 0;
    // Grants nothing, and hangs up once the window is full.
    let script = Script::new(move |input, out| {
        client_notes.note(&input);
        if let Input::Bytes { stream, bytes } = input {
            got += bytes.len();
            if got >= STREAM_WINDOW as usize {
                out.reset(stream, ResetCode::Cancelled);
            }
        }
    });
    let script = script.saying(|out| {
        out.request(&format!("http://{address}"), RequestHead::new("GET", "/"), Vec::new());
    });
    let client_runs = run(IoConfig::default(), script).await;
    assert_eq!(served.reset().await, ResetCode::Cancelled);
    within(client_runs.stop()).await;
    within(server_runs.stop()).await;
    let bytes = |seen: &Seen| if let Seen::Bytes(_, bytes) = seen { bytes.len() } else { 0 };
    assert_eq!(client.has_seen().iter().map(bytes).sum::<usize>(), STREAM_WINDOW as usize);
}
