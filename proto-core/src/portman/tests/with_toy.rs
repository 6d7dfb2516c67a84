//! Portman and toy wired to each other by a small driver that keeps the contract's credit: what a job streams is what
//! the toy says, however the bytes are cut and however slowly they are taken; and what is loaded is what the toy has loaded.

use alloc::{collections::VecDeque, format, string::String, vec, vec::Vec};
use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::http::Surface;
use crate::limits::STREAM_WINDOW;
use crate::machine::{Completion as Outcome, Input, LinkId, Machine, Op, Output, Peer, StreamId};
use crate::portman::{Portman, config::Config};
use crate::rng::Seed;
use crate::time::{Now, Span, Wake};
use crate::toy::{self, Toy, completion};
use crate::wire::portman::{FromPortman, ToPortman};

const LINK: LinkId = LinkId(1);

struct World {
    now: Now,
    portman: Portman,
    toy: Toy,
    /// Bytes to deliver in one piece.
    piece: usize,
    /// What the toy sent and the Portman's grants do not yet let through.
    pipes: BTreeMap<StreamId, Pipe>,
    labman: Option<StreamId>,
    lines: Vec<u8>,
    said: Vec<FromPortman>,
}

struct Pipe {
    queue: VecDeque<u8>,
    room: usize,
    finished: bool,
}

/// At the toy an exchange has the odd number after the Portman's.
fn at_toy(stream: StreamId) -> StreamId {
    StreamId(stream.0 + 1)
}

impl World {
    fn new(token_every: Span, piece: usize) -> Self {
        let (models, context_length) = (vec!["toy".into()], 512);
        let default = toy::config::Config::default();
        Self::with(toy::config::Config { models, context_length, token_every, ..default }, piece)
    }

    fn with(toy: toy::config::Config, piece: usize) -> Self {
        let now = Now::default();
        let portman = Config {
            labman_url: "ws://labman/".into(),
            token: String::new(),
            runtime_url: "http://toy/v1".into(),
            runtime_key: None,
            slots: 1,
            context_length: 1,
        };
        Self {
            now,
            portman: Portman::new(portman, Seed::from_u64(1), now),
            toy: Toy::new(toy, Seed::from_u64(2), now),
            piece,
            pipes: BTreeMap::new(),
            labman: None,
            lines: Vec::new(),
            said: Vec::new(),
        }
    }

    fn labman_says(&mut self, message: &ToPortman) {
        let line = format!("{}\n", serde_json::to_string(message).unwrap());
        let stream = self.labman.expect("a link");
        for piece in line.as_bytes().chunks(self.piece) {
            self.portman.handle(self.now, Input::Bytes { stream, bytes: piece });
        }
    }

    /// Runs until both machines want nothing but to wait for more than a second. Returns what the labman was told.
    fn run(&mut self) -> Vec<FromPortman> {
        loop {
            while self.step() {}
            let wake = Wake::earliest(self.portman.poll_timeout(), self.toy.poll_timeout());
            let Some(wake) = wake.filter(|wake| wake.at - self.now.mono <= Span::from_secs(1)) else {
                return core::mem::take(&mut self.said);
            };
            self.now.mono = self.now.mono.max(wake.at);
            self.portman.handle_timeout(self.now);
            self.toy.handle_timeout(self.now);
        }
    }

    /// `false`: all is quiet.
    fn step(&mut self) -> bool {
        if let Some(output) = self.portman.poll_output() {
            self.route_portman(output);
            return true;
        }
        if let Some(output) = self.toy.poll_output() {
            self.route_toy(output);
            return true;
        }
        self.deliver()
    }

    fn route_portman(&mut self, output: Output) {
        match output {
            Output::Start(op, Op::Dial(_)) => {
                self.portman.handle(self.now, Input::LinkUp { link: LINK, peer: Peer::Labman });
                self.portman.handle(self.now, Input::Done(op, Outcome::Dialled(Ok(LINK))));
            }
            Output::Open { stream, .. } => self.labman = Some(stream),
            Output::Request { stream, head, .. } => {
                let room = STREAM_WINDOW as usize;
                self.pipes.insert(stream, Pipe { queue: VecDeque::new(), room, finished: false });
                let input = Input::Request { stream: at_toy(stream), surface: Surface::Public, head };
                self.toy.handle(self.now, input);
            }
            Output::Send { stream, bytes } if self.labman == Some(stream) => self.labman_hears(bytes),
            Output::Send { stream, bytes } => {
                for piece in bytes.chunks(self.piece) {
                    self.toy.handle(self.now, Input::Bytes { stream: at_toy(stream), bytes: piece });
                }
            }
            Output::Finish { stream } => {
                self.toy.handle(self.now, Input::Finished { stream: at_toy(stream) })
            }
            Output::Reset { stream, code } => {
                if self.pipes.remove(&stream).is_some() {
                    self.toy.handle(self.now, Input::Reset { stream: at_toy(stream), code });
                }
            }
            Output::Grant { stream, bytes } => {
                if let Some(pipe) = self.pipes.get_mut(&stream) {
                    pipe.room += bytes as usize;
                }
            }
            Output::Event(_) => {}
            other => panic!("{other:?}"),
        }
    }

    fn labman_hears(&mut self, bytes: Vec<u8>) {
        self.lines.extend(bytes);
        while let Some(end) = self.lines.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.lines.drain(..=end).collect();
            self.said.push(serde_json::from_slice(&line).unwrap());
        }
    }

    fn route_toy(&mut self, output: Output) {
        let pipe = |stream: StreamId| StreamId(stream.0 - 1);
        match output {
            Output::Response { stream, head } => {
                self.portman.handle(self.now, Input::Response { stream: pipe(stream), head });
            }
            Output::Send { stream, bytes } => {
                if let Some(pipe) = self.pipes.get_mut(&pipe(stream)) {
                    pipe.queue.extend(bytes);
                }
            }
            Output::Finish { stream } => {
                if let Some(pipe) = self.pipes.get_mut(&pipe(stream)) {
                    pipe.finished = true;
                }
            }
            Output::Grant { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    /// Takes one piece across, as far as the Portman grants.
    fn deliver(&mut self) -> bool {
        let ready =
            |pipe: &Pipe| pipe.room.min(pipe.queue.len()) > 0 || (pipe.finished && pipe.queue.is_empty());
        let Some((stream, pipe)) = self.pipes.iter_mut().find(|(_, pipe)| ready(pipe)) else { return false };
        let stream = *stream;
        let bytes: Vec<u8> = pipe.queue.drain(..self.piece.min(pipe.room).min(pipe.queue.len())).collect();
        if bytes.is_empty() {
            self.pipes.remove(&stream);
            self.portman.handle(self.now, Input::Finished { stream });
        } else {
            pipe.room -= bytes.len();
            self.toy.handle(self.now, Input::Credit { stream: at_toy(stream), bytes: bytes.len() as u32 });
            self.portman.handle(self.now, Input::Bytes { stream, bytes: &bytes });
        }
        true
    }
}

/// The ids of the last hello: what runs, and what is on the shelf.
fn hello(said: &[FromPortman]) -> (Vec<&str>, Vec<&str>) {
    let Some(FromPortman::Hello { models, shelf }) = said.last() else { panic!("{said:?}") };
    let models = models.iter().map(|model| model.id.as_str()).collect();
    (models, shelf.iter().map(|shelved| shelved.id.as_str()).collect())
}

#[test]
fn models_take_turns_in_a_memory_that_holds_one() {
    let models: Vec<String> = vec!["big".into(), "small".into()];
    let loaded = vec!["big".into()];
    let load_takes = Span::from_secs(30);
    let config = toy::config::Config { models, loaded, room: 1, load_takes, ..Default::default() };
    let mut world = World::with(config, 100);
    assert_eq!(hello(&world.run()), (vec!["big"], vec!["small"]));

    let load = ToPortman::LoadModel { model: "small".into(), priority: 1 };
    world.labman_says(&load);
    let said = world.run();
    let [FromPortman::NotMoved { model, message }] = said.as_slice() else { panic!("{said:?}") };
    assert_eq!(model, "small");
    assert_eq!(message, "memory is full with 1 models, and none is evicted: unload one first");

    world.labman_says(&ToPortman::UnloadModel { model: "big".into(), reason: String::new() });
    world.labman_says(&load);
    let began = world.now.mono;
    assert_eq!(hello(&world.run()), (vec!["small"], vec!["big"]));
    let took = world.now.mono - began;
    assert!((load_takes..load_takes + Span::from_secs(5)).contains(&took), "{took:?}");

    let body = json!({ "messages": [{ "role": "user", "content": "Who is there?" }], "max_tokens": 3 });
    world.labman_says(&ToPortman::Start { job: 1, model: "small".into(), body, credit: 60_000 });
    assert!(matches!(world.run().last(), Some(FromPortman::Done { job: 1, .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_job_streams_what_the_toy_says_token_by_token(
        seed in any::<i64>(),
        max_tokens in 1u64..80,
        token_every_ms in prop::sample::select(&[0, 5, 900][..]),
        piece in 1usize..2000,
        credit in 500u32..4000,
    ) {
        let mut world = World::new(Span::from_millis(token_every_ms), piece);
        let hello = world.run();
        let hello = hello.last().unwrap();
        prop_assert!(
            matches!(hello, FromPortman::Hello { models, .. } if models[0].context_length == 512), "{:?}", hello
        );

        let messages = json!([{ "role": "user", "content": "What do the lanterns say?" }]);
        let body = json!({ "messages": messages, "seed": seed, "max_tokens": max_tokens });
        let expected = completion(&body).unwrap();
        world.labman_says(&ToPortman::Start { job: 1, model: "toy".into(), body, credit });

        // A labman that gives back what it took, each time the stream has come to rest.
        let (mut text, mut end) = (String::new(), None);
        while end.is_none() {
            let mut taken = 0;
            for message in world.run() {
                match message {
                    FromPortman::Chunk { data, .. } => {
                        taken += data.len() as u32;
                        let chunk: Value = serde_json::from_str(&data).unwrap();
                        text.push_str(chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
                    }
                    other => end = Some(other),
                }
            }
            prop_assert!(taken <= credit, "{} of {}", taken, credit);
            prop_assert!(taken > 0 || end.is_some(), "stuck after {:?}", text);
            world.labman_says(&ToPortman::Credit { job: 1, bytes: taken });
        }
        prop_assert_eq!(text, expected.text());
        let Some(FromPortman::Done { job: 1, counts }) = end else { panic!("{end:?}") };
        prop_assert_eq!(
            (counts.input as usize, counts.output as usize),
            (expected.prompt_tokens, expected.tokens.len())
        );
    }
}
