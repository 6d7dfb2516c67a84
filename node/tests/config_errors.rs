//! A mistake in a config file names the file, the line, the key and what to write instead.

use std::path::PathBuf;

use labman_node::config::{ConfigError, fep, labmand, portman};

const EXAMPLES: [(&str, &str); 5] = [
    ("gateway", include_str!("../../examples/gateway.toml")),
    ("provider", include_str!("../../examples/provider.toml")),
    ("unpaid", include_str!("../../examples/unpaid.toml")),
    ("portman", include_str!("../../examples/portman.toml")),
    ("fep", include_str!("../../examples/fep.toml")),
];

/// An example with one mistake in it.
struct Mistake {
    directory: tempfile::TempDir,
    kind: &'static str,
    text: String,
    /// Counts from 1.
    line: usize,
}

impl Mistake {
    /// Replaces the only line that begins with `instead_of`.
    fn in_example(kind: &'static str, instead_of: &str, write: &str) -> Self {
        let (_, example) = EXAMPLES.iter().find(|(name, _)| *name == kind).unwrap();
        let at = example.lines().position(|line| line.starts_with(instead_of)).unwrap();
        let lines = example.lines().enumerate().map(|(i, line)| if i == at { write } else { line });
        let text = lines.collect::<Vec<_>>().join("\n");
        Self { directory: tempfile::tempdir().unwrap(), kind, text, line: at + 1 }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(format!("{}.toml", self.kind))
    }

    fn read(&self) -> Result<(), ConfigError> {
        std::fs::write(self.path(), &self.text).unwrap();
        match self.kind {
            "portman" => portman::read_portman(&self.path()).map(drop),
            "fep" => fep::Fep::read(&self.path()).map(drop),
            _ => labmand::Labmand::read(&self.path()).map(drop),
        }
    }

    fn error(&self) -> ConfigError {
        self.read().expect_err("the mistake is noticed")
    }

    /// The error stands at the mistake's line, is about `key`, and its message says `words`.
    fn is_told(&self, key: &str, words: &[&str]) {
        let error = self.error();
        let ConfigError::Fault(fault) = &error else { panic!("not a fault of the text: {error}") };
        assert_eq!((fault.line, fault.key.as_str()), (self.line, key), "{error}");
        let told = error.to_string();
        assert!(told.starts_with(&format!("{}:{}:", self.path().display(), self.line)), "{told}");
        for word in words {
            assert!(told.contains(word), "{word:?} is not in: {told}");
        }
    }
}

#[test]
fn an_unknown_key_is_named_with_the_known_ones() {
    Mistake::in_example("gateway", "network =", "netwrk = \"labman\"")
        .is_told("netwrk", &["unknown field `netwrk`", "`network`", "correct its spelling"]);
    Mistake::in_example("gateway", "listen = \"0.0.0.0:8080\"", "listn = \"0.0.0.0:8080\"")
        .is_told("gateway.listn", &["unknown field", "`public_endpoint`"]);
    Mistake::in_example("portman", "slots =", "slot = 4").is_told("runtime.slot", &["unknown field `slot`"]);
}

#[test]
fn an_alias_stands_for_a_model_or_several() {
    let told = |aliases: &str, column: usize, words: &[&str]| {
        let mistake = Mistake::in_example("gateway", "# aliases =", aliases);
        // The mistake is in the last of the lines.
        let line = mistake.line + aliases.matches('\n').count();
        mistake.error_says(&[&[format!(":{line}:{column}:").as_str()], words].concat());
    };
    told("aliases = { fast = [] }", 20, &["stands for one model or a list"]);
    told("aliases = { fast = \"\" }", 20, &["\"qwen2.5:7b\""]);
    told("aliases = { fast = 5 }", 20, &["a model's name, or a list of names"]);
    told("aliases = { \"a:b:c\" = \"d\" }", 23, &["is a slug"]);
    told("aliases = { a = \"b\", b = \"c\" }", 17, &["\"b\" is an alias itself"]);
    told("families = [\"qwen\"]\naliases = { a = \"llama\" }", 17, &["add \"llama\" to families"]);
}

#[test]
fn a_wrong_type_is_told_at_its_key() {
    Mistake::in_example("gateway", "network =", "network = 5")
        .is_told("network", &["invalid type: integer `5`", "a string"]);
    Mistake::in_example("provider", "embedded =", "embedded = \"yes\"")
        .is_told("portman.embedded", &["a boolean"]);
    Mistake::in_example("fep", "fep_bps =", "fep_bps = -1").is_told("fees.fep_bps", &["-1"]);
}

#[test]
fn a_key_in_an_inline_table_is_named_with_all_its_tables() {
    let runtime = |rest: &str| format!("runtime = {{ url = \"http://a:1/{{v1\", {rest} }}");
    Mistake::in_example("provider", "runtime =", &runtime("slots = 0"))
        .is_told("portman.runtime.slots", &["at least 1"]);
    Mistake::in_example("provider", "runtime =", &runtime("slot = 1"))
        .is_told("portman.runtime.slot", &["unknown field"]);
    let prices = "prices = { big = { input_per_mtok = \"1\", output_per_mtok = \"2\" }, small = { input_per_mtok = 5 } }";
    Mistake::in_example("provider", "least_payout =", prices)
        .is_told("portman.prices.small.input_per_mtok", &["in quotes"]);
}

#[test]
fn a_number_out_of_its_bounds_is_told_the_bounds() {
    for number in ["-4", "99999999999"] {
        Mistake::in_example("portman", "slots =", &format!("slots = {number}")).is_told(
            "runtime.slots",
            &[number, "a whole number from 0 to 4294967295", "write such a number"],
        );
    }
    let told = |line: &str, key: &str, range: &str| {
        Mistake::in_example("gateway", "[gateway]", &format!("[gateway]\n{line}")).error_says(&[
            &format!("`gateway.{key}`"),
            &format!("a whole number from 1 to {range};"),
            "write such a number",
        ]);
    };
    for number in ["0", "-4"] {
        told(
            &format!("connections_per_address = {number}"),
            "connections_per_address",
            "9223372036854775807",
        );
        told(
            &format!("key_limits = {{ tokens_per_minute = {number} }}"),
            "key_limits.tokens_per_minute",
            "9223372036854775807",
        );
    }
    told("key_limits = { at_once = 0 }", "key_limits.at_once", "4294967295");
    let beyond = "connections_per_address = 99999999999999999999";
    Mistake::in_example("gateway", "[gateway]", &format!("[gateway]\n{beyond}")).error_says(&[
        "integer `99999999999999999999`, expected a whole number from 1 to 9223372036854775807",
    ]);
}

#[test]
fn a_bound_that_nobody_could_serve_or_ask_with_is_told_what_to_write() {
    let mistake = |line: &str| Mistake::in_example("gateway", "[gateway]", &format!("[gateway]\n{line}"));
    mistake("http = { body = \"5 MiB\" }").error_says(&[
        "`gateway.http.body`",
        "4 MiB",
        "write that or less",
    ]);
    mistake("http = { head = \"1 KiB\" }").error_says(&["`gateway.http.head`", "8 KiB or more"]);
    mistake("http = { body = \"4 MB\" }").error_says(&[
        "`gateway.http.body`",
        "\"4 MB\" is not a number of bytes",
        "KiB, MiB or GiB, such as 4 MiB",
    ]);
    mistake("http = { headers = 4097 }").error_says(&["`gateway.http.headers`", "a number from 1 to 4096"]);
    mistake("http = { header_timeout = \"soon\" }")
        .error_says(&["`gateway.http.header_timeout`", "length of time"]);
    mistake("tls = { certificate = \"cert.pem\" }").error_says(&["`gateway.tls`", "key"]);
}

#[test]
fn a_certificate_that_is_no_good_is_told_where_it_is_named() {
    let with = |tls: &str| Mistake::in_example("gateway", "# tls =", tls);
    let tls = "tls = { certificate = \"cert.pem\", key = \"key.pem\" }";
    with(tls).is_told("gateway.tls.certificate", &["cert.pem", "No such file", "PEM files"]);

    let fixture = |name: &str| {
        format!("{}/../io-tokio/tests/tls/{name}", std::path::Path::new(env!("CARGO_MANIFEST_DIR")).display())
    };
    let (certificate, key) = (fixture("first.crt"), fixture("second.key"));
    let pair = |certificate: &str, key: &str| {
        with(&format!("tls = {{ certificate = {certificate:?}, key = {key:?} }}"))
    };
    pair(&key, &key).is_told("gateway.tls.certificate", &["no certificate in it"]);
    pair(&certificate, "key.pem").is_told("gateway.tls.key", &["key.pem", "No such file"]);
    pair(&certificate, &certificate).is_told("gateway.tls.key", &["no private key in it"]);
    pair(&certificate, &key).is_told("gateway.tls.key", &["not the key of the certificate", "first.crt"]);
}

/// Whoever writes a config has never seen the code.
#[test]
fn no_error_speaks_rust() {
    const WRONG: [&str; 6] = ["true", "5", "-1", "\"text\"", "[]", "{}"];
    for (kind, example) in EXAMPLES {
        let lines: Vec<&str> = example.lines().collect();
        let with = |text: String| Mistake { directory: tempfile::tempdir().unwrap(), kind, text, line: 1 };
        let mut mistakes = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            let key = match line.trim_start_matches("# ").split_once(" = ") {
                Some((key, _)) if !key.contains(' ') => key,
                _ => continue,
            };
            for wrong in WRONG {
                let line = format!("{key} = {wrong}");
                let text = [&lines[..at], &[&line], &lines[at + 1..]].concat().join("\n");
                mistakes.push(with(text));
            }
        }
        for table in lines.iter().filter(|line| line.starts_with('[')) {
            let rest = without_table(&lines, table);
            let name = table.trim_matches(['[', ']']);
            mistakes.extend(WRONG.map(|wrong| with(format!("{name} = {wrong}\n{rest}"))));
            mistakes.extend(WRONG.map(|wrong| with(format!("{name} = [{wrong}]\n{rest}"))));
        }
        assert!(mistakes.len() > 20);
        for mistake in mistakes {
            let Err(error) = mistake.read() else { continue };
            let told = error.to_string().replace(&mistake.path().display().to_string(), "");
            for name in
                ["struct", "enum", "Field", "usize", "u32", "u64", "i64", "f64", "sequence", "variant", "map"]
            {
                assert!(!told.contains(name), "{name:?} is in: {told}");
            }
        }
    }
}

/// The example without the table of that header.
fn without_table(lines: &[&str], header: &str) -> String {
    let mut inside = false;
    let kept = lines.iter().filter(|line| {
        if line.starts_with('[') {
            inside = **line == header;
        }
        !inside
    });
    kept.copied().collect::<Vec<_>>().join("\n")
}

#[test]
fn money_as_a_number_is_told_to_become_text() {
    Mistake::in_example("provider", "least_payout =", "least_payout = 0.5")
        .is_told("portman.least_payout", &["an amount such as \"0.50\" in quotes"]);
    let price = "price = { input_per_mtok = \"0.5O\", output_per_mtok = \"2.00\" }";
    Mistake::in_example("provider", "price =", price)
        .is_told("portman.price.input_per_mtok", &["\"0.5O\" is not an amount", "such as 12.5"]);
    Mistake::in_example("provider", "least_payout =", "least_payout = \"-1\"")
        .is_told("portman.least_payout", &["negative"]);
}

#[test]
fn a_bad_currency_id_or_address_says_how_to_write_it() {
    Mistake::in_example("fep", "currency =", "currency = \"usd\"")
        .is_told("currency", &["3 to 8 capital letters"]);
    Mistake::in_example("provider", "node_id =", "node_id = \"GATEWAY-NODE-ID\"")
        .is_told("bootstrap.node_id", &["not an id", "labmand id"]);
    Mistake::in_example("provider", "addr =", "addr = \"203.0.113.7\"")
        .is_told("bootstrap.addr", &["host:port"]);
    Mistake::in_example("fep", "name =", "name = \"paypal\"").is_told("rail.name", &["mock-fiat"]);
    Mistake::in_example("fep", "least_payout =", "least_payout = 1")
        .is_told("rail.least_payout", &["an amount such as \"0.50\" in quotes"]);
    let twice = "least_payout = \"0\"\n[[rail]]\nname = \"test\"";
    Mistake::in_example("fep", "least_payout =", twice).error_says(&["remove one of its entries"]);
    Mistake::in_example("fep", "listen =", "listen = \"everywhere\"").is_told("listen", &["ip:port"]);
    Mistake::in_example("provider", "claim_every =", "claim_every = \"soon\"")
        .is_told("provider.claim_every", &["such as 500ms, 30s"]);
    Mistake::in_example("provider", "# exposure =", "exposure = \"0\"")
        .is_told("provider.exposure", &["above zero", "no work"]);
    Mistake::in_example("portman", "labman_url =", "labman_url = \"http://127.0.0.1:8765\"")
        .is_told("labman_url", &["ws://host:port/"]);
}

#[test]
fn a_runtime_s_url_is_told_apart_from_a_fep_s() {
    Mistake::in_example("portman", "url =", "url = \"https://127.0.0.1:8000/v1\"")
        .is_told("runtime.url", &["TLS", "local proxy", "http://127.0.0.1:8000/v1"]);
    Mistake::in_example("portman", "url =", "url = \"127.0.0.1:8000\"")
        .is_told("runtime.url", &["http://127.0.0.1:11434/v1"]);
    Mistake::in_example("provider", "url = \"http", "url = \"https://portal.example\"")
        .is_told("fep.url", &["http://127.0.0.1:8800"]);
}

#[test]
fn what_would_not_work_is_refused_before_it_starts() {
    Mistake::in_example("provider", "token =", "token = \"secret\"")
        .is_told("portman.token", &["at least 16 characters"]);
    Mistake::in_example("provider", "tenant =", "tenant = \"a:b\"")
        .is_told("provider.tenant", &["letters, digits"]);
    Mistake::in_example("provider", "embedded =", "embedded = false")
        .error_says(&["`portman.runtime`", "remove this, or set embedded = true"]);
    Mistake::in_example("fep", "gateway_bps =", "gateway_bps = 10001")
        .is_told("fees.gateway_bps", &["at most 10000"]);
    Mistake::in_example("fep", "gateway_bps =", "gateway_bps = 9901")
        .is_told("fees.gateway_bps", &["both together"]);
    Mistake::in_example("portman", "slots =", "slots = 0").is_told("runtime.slots", &["at least 1"]);
    Mistake::in_example("gateway", "[gateway]", "fep = \"x\"\n[gateway]")
        .error_says(&["unknown field `fep`"]);
    let other = "[gateway]\nfep = \"8qbHbw2BbbTHBW1sbeqakYXVKRQM8Ne7pLK7m6CVfeR\"";
    Mistake::in_example("gateway", "[gateway]", other)
        .error_says(&["`gateway.fep`", "no [[fep]] has this id"]);
}

impl Mistake {
    fn error_says(&self, words: &[&str]) {
        let told = self.error().to_string();
        for word in words {
            assert!(told.contains(word), "{word:?} is not in: {told}");
        }
    }
}

#[test]
fn a_node_without_a_role_is_told_which_roles_there_are() {
    let mistake = Mistake {
        directory: tempfile::tempdir().unwrap(),
        kind: "gateway",
        text: "network = \"labman\"\ndata_dir = \"d\"\n".to_string(),
        line: 1,
    };
    mistake.error_says(&["[gateway]", "[provider]"]);
}

#[test]
fn a_file_that_is_not_there_says_how_to_get_one() {
    let error = labmand::Labmand::read(std::path::Path::new("/nowhere/labman.toml")).unwrap_err();
    let told = error.to_string();
    assert!(
        told.contains("/nowhere/labman.toml") && told.contains("--config") && told.contains("init"),
        "{told}"
    );
}

#[test]
fn memory_that_is_no_amount_or_too_little_is_told_with_what_to_write() {
    let mesh = |line: &str| Mistake::in_example("gateway", "# memory", line);
    mesh("memory = 256").is_told("mesh.memory", &["256 MiB", "in quotes"]);
    mesh("memory = \"much\"").is_told("mesh.memory", &["a number and a unit", "256 MiB"]);
    mesh("memory = \"64 MiB\"").is_told("mesh.memory", &["1024 links", "memory = \"256 MiB\"", "max_links"]);
    Mistake::in_example("gateway", "# max_links =", "max_links = 100000")
        .is_told("mesh.max_links", &["100000 links", "memory = "]);
    mesh("max_links_per_network = 0").is_told("mesh.max_links_per_network", &["a whole number from 1"]);
}

#[test]
fn a_node_for_its_own_users_has_nobody_else_s() {
    Mistake::in_example("unpaid", "unpaid =", "unpaid = true\nfamilies = [\"qwen\"]").error_says(&[
        "gateway.families",
        "no FEP's users",
        "leave this",
    ]);
    Mistake::in_example("unpaid", "unpaid =", "unpaid = true\nkey_limits = { at_once = 1 }")
        .error_says(&["gateway.key_limits", "leave this out"]);
    Mistake::in_example("unpaid", "unpaid =", "unpaid = true\norigins = [\"http://a/b\"]")
        .error_says(&["gateway.origins", "without a path"]);
    Mistake::in_example("unpaid", "tenant =", "tenant = \"a:b\"")
        .is_told("provider.tenant", &["can't be part"]);
    Mistake::in_example("provider", "payout =", "").error_says(&["portman", "add payout = {"]);
    Mistake::in_example("provider", "price =", "").error_says(&["portman", "add price = {"]);
}

#[test]
fn a_floor_that_nobody_would_pay_is_refused() {
    let pricing = |rest: &str| {
        let pricing = format!("pricing = {{ strategy = \"capacity\", {rest} }}");
        Mistake::in_example("provider", "# pricing =", &pricing)
    };
    pricing("most = 0.4").is_told("portman.pricing.most", &["nobody would pay the floor", "2.0"]);
    pricing("floor = 2.0").is_told("portman.pricing.floor", &["nobody would pay the floor"]);
    pricing("most = 0.0").is_told("portman.pricing.most", &["factors of the price"]);
}
