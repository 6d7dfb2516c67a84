//! `labman-fep signing-key`: which keys sign for the FEP, and since when. The root that certifies them may be on another host:
//! then the ring goes there and back in a file.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use labman_io_tokio::now_wall;
use labman_proto_core::identity::{FepKey, NetId, Network, verify_strict};
use labman_proto_core::keys::{Keys, next_serial};
use labman_proto_core::wire::keys::{CertifiedKey, KeyRing};
use serde_json::{Value, json};
use time::{Date, Month, PrimitiveDateTime, Time};

use crate::admin::Admin;
use crate::commands::say;
use crate::daemon::fep_keys::{self, DAYS, FepKeys, hex, unhex, write_whole};

const HOUR_MS: u64 = 3600 * 1000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// Nodes ask for the ring every hour: who hears of a key only when it signs has to ask in the middle of a job.
const AHEAD_MS: u64 = 2 * HOUR_MS;
/// A key that signs at once is valid from a little while ago on: others' clocks may be behind.
const BEHIND_MS: u64 = 2 * 60 * 1000;

#[derive(Subcommand, Debug)]
pub(super) enum SigningKeyCommand {
    /// The signing keys, and which of them signs now
    Show {
        /// Write the key ring to this file, too: a root that is elsewhere certifies by it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Make a signing key in the data directory and, if the root is at hand, certify it; the daemon reads it when it is
    /// restarted
    New {
        #[command(flatten)]
        valid: Valid,
        #[command(flatten)]
        at: Root,
    },
    /// Let a key sign
    Certify {
        key: String,
        #[command(flatten)]
        valid: Valid,
        #[command(flatten)]
        at: Root,
    },
    /// Let a key that was stolen or lost sign no more
    Revoke {
        key: String,
        /// What it signed from then on counts for nothing: `now`, or a time of UTC as 2026-11-28 or 2026-11-28T09:30
        #[arg(long, value_name = "WHEN", default_value = "now")]
        from: String,
        #[command(flatten)]
        at: Root,
    },
    /// Put a key ring in force that was made where the root is
    Take { file: PathBuf },
}

#[derive(clap::Args, Debug)]
pub(super) struct Valid {
    /// `now`, or a time of UTC as 2026-11-28 or 2026-11-28T09:30 (default: in two hours, when all nodes have heard of it)
    #[arg(long, value_name = "WHEN")]
    from: Option<String>,
    #[arg(long, value_name = "DAYS", default_value_t = DAYS, value_parser = clap::value_parser!(u64).range(1..=36_500))]
    days: u64,
}

#[derive(clap::Args, Debug)]
pub(super) struct Root {
    /// The root's key file (default: root.key of the data directory)
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
    /// Where there is no portal: change the key ring in this file, as `show --out` wrote it and `take` takes it
    #[arg(long, value_name = "FILE", requires = "root")]
    ring: Option<PathBuf>,
}

impl SigningKeyCommand {
    /// It works on a file alone.
    pub(super) fn is_offline(&self) -> bool {
        match self {
            Self::Certify { at, .. } | Self::Revoke { at, .. } => at.ring.is_some(),
            Self::Show { .. } | Self::New { .. } | Self::Take { .. } => false,
        }
    }

    /// Changes a ring in a file, where the root is.
    pub(super) fn run_offline(&self, as_json: bool) -> Result<(), String> {
        match self {
            Self::Certify { key, valid, at } => at.change(|ring| certified(ring, key, valid), as_json),
            Self::Revoke { key, from, at } => at.change(|ring| revoked(ring, key, from), as_json),
            Self::Show { .. } | Self::New { .. } | Self::Take { .. } => Err("it needs the portal".into()),
        }
    }

    pub(super) async fn run(&self, admin: &Admin, files: &FepKeys, as_json: bool) -> Result<(), String> {
        let shown = admin.get("/ring").await.map_err(|why| why.to_string())?;
        let before = ring_in(&shown)?;
        let (next, told) = match self {
            Self::Show { out } => {
                if let Some(out) = out {
                    write_whole(out, &hex(&before.bytes().0))
                        .map_err(|why| format!("{}: {why}", out.display()))?;
                }
                (None, String::new())
            }
            Self::New { valid, at } => {
                let (file, key) = files.new_signing_key().map_err(|why| why.to_string())?;
                let made = format!("Made signing key {key} in {}.\n", file.display());
                let root = at.root.clone().unwrap_or_else(|| files.root_file());
                if root.exists() {
                    let next = signed(&before, &root, certified(&before, &key.to_string(), valid)?)?;
                    (Some(next), made + "Restart labman-fep before it is to sign.")
                } else {
                    let next = "show --out ring.txt; where the root is, labman-fep signing-key certify";
                    (
                        None,
                        format!(
                            "{made}The root is not here. Next: labman-fep signing-key {next} {key} --root FILE --ring ring.txt; \
                         then take ring.txt here, and restart labman-fep before it is to sign."
                        ),
                    )
                }
            }
            Self::Certify { key, valid, at } => {
                let ring = certified(&before, key, valid)?;
                (Some(signed(&before, &at.file(files), ring)?), format!("Certified {key}."))
            }
            Self::Revoke { key, from, at } => {
                let ring = revoked(&before, key, from)?;
                (Some(signed(&before, &at.file(files), ring)?), format!("Revoked {key}."))
            }
            Self::Take { file } => (Some(read_ring(file)?), "Taken.".to_string()),
        };
        let answer = match next {
            Some(next) => {
                let body = json!({ "ring": hex(&next.bytes().0) });
                admin.post("/ring", &body).await.map_err(|why| why.to_string())?
            }
            None => shown,
        };
        if as_json {
            say(format_args!("{answer:#}"));
        } else {
            let told = if told.is_empty() { told } else { format!("{told}\n") };
            say(format_args!("{told}{}", for_eyes(&answer)));
        }
        Ok(())
    }
}

impl Root {
    /// Of the ring in a file.
    fn change(&self, change: impl Fn(&Keys) -> Result<KeyRing, String>, as_json: bool) -> Result<(), String> {
        let (Some(root), Some(file)) = (&self.root, &self.ring) else {
            return Err("name both: --root FILE --ring FILE".into());
        };
        let before = read_ring(file)?;
        let next = signed(&before, root, change(&before)?)?;
        let (serial, ring) = (next.serial(), hex(&next.bytes().0));
        write_whole(file, &ring).map_err(|why| format!("{}: {why}", file.display()))?;
        if as_json {
            say(format_args!("{:#}", json!({ "serial": serial, "ring": ring })));
        } else {
            let file = file.display();
            say(format_args!(
                "{file} is key ring {serial} now. Next, where the FEP is: labman-fep signing-key take {file}"
            ));
        }
        Ok(())
    }

    fn file(&self, files: &FepKeys) -> PathBuf {
        self.root.clone().unwrap_or_else(|| files.root_file())
    }
}

fn certified(before: &Keys, key: &str, valid: &Valid) -> Result<KeyRing, String> {
    let (key, now) = (parsed(key)?, now_wall());
    if before.of(&key.0).is_some() {
        return Err(format!("{key} is in the key ring already: a key is certified once; make another"));
    }
    let from_ms = match valid.from.as_deref() {
        Some("now") => now.0.saturating_sub(BEHIND_MS),
        Some(when) => moment(when)?,
        None => now.0.saturating_add(AHEAD_MS),
    };
    let until_ms = from_ms.saturating_add(valid.days.saturating_mul(DAY_MS));
    let mut ring = next(before);
    ring.keys.push(CertifiedKey { key, from_ms, until_ms, revoked_from_ms: None });
    Ok(ring)
}

fn revoked(before: &Keys, key: &str, from: &str) -> Result<KeyRing, String> {
    let key = parsed(key)?;
    let from_ms = if from == "now" { now_wall().0 } else { moment(from)? };
    let mut ring = next(before);
    let Some(one) = ring.keys.iter_mut().find(|one| one.key == key) else {
        return Err(format!("{key} is not in the key ring: `labman-fep signing-key show` lists its keys"));
    };
    one.revoked_from_ms = Some(one.revoked_from_ms.map_or(from_ms, |before| before.min(from_ms)));
    Ok(ring)
}

fn next(before: &Keys) -> KeyRing {
    KeyRing { serial: next_serial(Some(before), now_wall()), ..before.content().clone() }
}

/// By the root in that file, which must be the ring's.
fn signed(before: &Keys, root: &Path, ring: KeyRing) -> Result<Keys, String> {
    let identity = fep_keys::root(root).map_err(|why| {
        format!("{why}; name the root's key file with --root, or certify where it is: --ring")
    })?;
    if identity.fep_id() != before.fep_id() {
        let (file, is, of) = (root.display(), identity.fep_id(), before.fep_id());
        return Err(format!("{file} is the root of FEP {is}, and the key ring is that of {of}"));
    }
    let network = network_of(&before.bytes().0)?;
    let bytes = fep_keys::sign(&identity, network, ring);
    let next = Keys::open(network, Some(before.fep_id()), &bytes).map_err(|why| why.to_string())?;
    next.follows(before).map_err(|why| why.to_string())?;
    Ok(next)
}

fn read_ring(file: &Path) -> Result<Keys, String> {
    let place = |why: String| format!("{}: {why}", file.display());
    let text = std::fs::read_to_string(file).map_err(|why| place(why.to_string()))?;
    let bytes = unhex(&text).map_err(place)?;
    Keys::open(network_of(&bytes).map_err(place)?, None, &bytes).map_err(|why| place(why.to_string()))
}

fn ring_in(shown: &Value) -> Result<Keys, String> {
    let bytes = unhex(shown["ring"].as_str().unwrap_or_default())?;
    Keys::open(network_of(&bytes)?, None, &bytes).map_err(|why| why.to_string())
}

/// A ring says which network it is of, and where the root is there need be no config.
fn network_of(ring: &[u8]) -> Result<Network, String> {
    let net_id = ring.get(3..11).and_then(|id| id.try_into().ok()).ok_or("it is not a key ring")?;
    Ok(Network::known_by(NetId(net_id), verify_strict))
}

fn parsed(key: &str) -> Result<FepKey, String> {
    key.parse()
        .map_err(|_| format!("{key:?} is no signing key: `labman-fep signing-key show` and `new` print them"))
}

/// Unix milliseconds of `2026-11-28` or `2026-11-28T09:30`, UTC.
fn moment(when: &str) -> Result<u64, String> {
    let bad = || format!("{when:?} is no time: write `now`, 2026-11-28 or 2026-11-28T09:30, in UTC");
    let (date, time) = when.split_once('T').unwrap_or((when, "00:00"));
    let mut date = date.splitn(3, '-');
    let mut part = || date.next().ok_or_else(bad);
    let (year, month, day) = (part()?, part()?, part()?);
    let year = year.parse().map_err(|_| bad())?;
    let month = month.parse::<u8>().ok().and_then(|month| Month::try_from(month).ok()).ok_or_else(bad)?;
    let date = Date::from_calendar_date(year, month, day.parse().map_err(|_| bad())?).map_err(|_| bad())?;
    let (hour, minute) = time.split_once(':').ok_or_else(bad)?;
    let parse = |text: &str| text.parse::<u8>().map_err(|_| bad());
    let time = Time::from_hms(parse(hour)?, parse(minute)?, 0).map_err(|_| bad())?;
    let at = PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp();
    u64::try_from(at).map_err(|_| bad())?.checked_mul(1000).ok_or_else(bad)
}

/// A moment as people write it; of one beyond all calendars, its milliseconds.
pub(super) fn written(ms: u64) -> String {
    let at = i64::try_from(ms / 1000).ok().and_then(|s| time::OffsetDateTime::from_unix_timestamp(s).ok());
    at.map_or_else(
        || format!("{ms} ms"),
        |at| {
            let (year, month, day) = at.to_calendar_date();
            format!("{year}-{:02}-{day:02}T{:02}:{:02}", u8::from(month), at.hour(), at.minute())
        },
    )
}

fn for_eyes(answer: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let mut lines =
        vec![format!("FEP {}, key ring {}, times in UTC", text(&answer["fep_id"]), answer["serial"])];
    let when = |value: &Value| value.as_u64().map(written);
    for key in answer["keys"].as_array().into_iter().flatten() {
        let mut line = format!(
            "{:<44}  from {}  until {}",
            text(&key["key"]),
            when(&key["from_ms"]).unwrap_or_default(),
            when(&key["until_ms"]).unwrap_or_default()
        );
        if let Some(revoked) = when(&key["revoked_from_ms"]) {
            line += &format!("  revoked from {revoked}");
        } else if key["signs"] == true {
            line += "  signs now";
        } else if key["held"] == false {
            line += "  not loaded: restart labman-fep";
        }
        lines.push(line);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_it_is_written() {
        for when in ["2026-11-28T09:30", "1970-01-01T00:00", "9999-12-31T23:59"] {
            assert_eq!(written(moment(when).unwrap()), when);
        }
        assert_eq!(moment("2026-11-28").unwrap(), moment("2026-11-28T00:00").unwrap());
        for bad in
            ["", "tomorrow", "2026-13-01", "2026-02-30", "2026-11-28T24:00", "2026-11-28T9", "1969-12-31"]
        {
            assert!(moment(bad).unwrap_err().contains("UTC"), "{bad}");
        }
        assert_eq!(written(u64::MAX), format!("{} ms", u64::MAX));
    }
}
