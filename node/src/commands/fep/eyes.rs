//! The portal's answers, for people.

use serde_json::Value;

use super::signing_key::written;
use super::{Command, DisputeCommand, FxCommand, GatewayCommand, KeyCommand, RailCommand, UserCommand};

pub(super) fn for_eyes(command: &Command, answer: &Value) -> String {
    match command {
        Command::User(UserCommand::Add { name }) => {
            let id = plain(&answer["user"]);
            format!(
                "User {name:?} is {id}. Next: labman-fep key add {name}; labman-fep deposit {name} AMOUNT"
            )
        }
        Command::Key(KeyCommand::Add { user }) => {
            let name = plain(&answer["key"]);
            match answer["api_key"].as_str() {
                Some(api_key) => format!("API key {name} of {user:?}, shown only this once:\n{api_key}"),
                // Made by an earlier call under the same idempotency key.
                None => format!(
                    "API key {name} of {user:?} was shown when it was made. Lost: revoke it, add another."
                ),
            }
        }
        Command::Gateway(GatewayCommand::Add { node_id, bond: Some(_), .. }) => {
            format!("Gateway {node_id} is enrolled; its bond is {}.", plain(&answer["bond"]))
        }
        Command::Gateway(GatewayCommand::Add { node_id, bond: None, .. }) => format!(
            "Gateway {node_id} is enrolled. Without a bond it can try one provider only for each request: \
             labman-fep gateway bond {node_id} AMOUNT"
        ),
        Command::Gateway(GatewayCommand::PayoutTo { node_id, address }) => {
            format!("The fees of gateway {node_id} go to {address} from now on.")
        }
        Command::Gateway(GatewayCommand::Pay { node_id }) => format!(
            "{} are on their way to gateway {node_id} as transfer {}.",
            plain(&answer["amount"]),
            answer["transfer"]
        ),
        Command::Gateway(GatewayCommand::Bond { amount, .. }) => {
            format!("Paid {amount}; the bond is {}.", plain(&answer["bond"]))
        }
        Command::Deposit { user, amount, .. } => {
            format!("Deposited {amount}; the balance of {user:?} is {}.", plain(&answer["balance"]))
        }
        Command::Withdraw { user, amount, to, .. } => format!(
            "{amount} of {user:?} are on their way to {to} as transfer {}; the balance is {}.",
            answer["transfer"],
            plain(&answer["balance"])
        ),
        Command::Key(KeyCommand::Freeze { key } | KeyCommand::Thaw { key } | KeyCommand::Revoke { key }) => {
            format!("API key {key} is {} now.", plain(&answer["state"]))
        }
        Command::Rail(RailCommand::Fault { rail, fault, times }) => {
            format!("The next {times} transfers over {rail} meet with: {fault}.")
        }
        Command::Rail(RailCommand::List) => {
            format!("{}\ntrouble that was ordered: {}", list(&answer["rails"]), list(&answer["faults"]))
        }
        Command::Fx(FxCommand::Set { currency, valid_for, .. }) => format!(
            "{currency} is quoted at {} for {} s: providers may be paid in it where a rail moves it.",
            plain(&answer["rate"]),
            valid_for.0.as_millis() / 1000
        ),
        Command::Fx(FxCommand::Drop { currency }) => {
            format!("{currency} is not quoted any more; what was authorized in it stands.")
        }
        Command::Dispute(DisputeCommand::List) => disputes(answer),
        Command::Dispute(DisputeCommand::ClaimAgain(_)) => {
            format!(
                "Receipt {} can be claimed again: its provider hears of it within the hour.",
                plain(&answer["receipt_id"])
            )
        }
        Command::Dispute(DisputeCommand::Stands(_)) => {
            format!(
                "Receipt {} will not be paid: its provider hears of it within the hour.",
                plain(&answer["receipt_id"])
            )
        }
        Command::Ledger { .. } => ledger(answer),
        Command::User(UserCommand::List)
        | Command::Gateway(GatewayCommand::List)
        | Command::Key(KeyCommand::List { .. })
        | Command::Fx(FxCommand::List)
        | Command::Payouts { .. }
        | Command::Transfers { .. } => {
            let items = answer.as_object().and_then(|object| object.values().find(|value| value.is_array()));
            list(items.unwrap_or(&Value::Null))
        }
        Command::Init { .. } | Command::Id | Command::Statement(_) | Command::SigningKey(_) => String::new(),
    }
}

fn ledger(answer: &Value) -> String {
    let accounts = answer["accounts"].as_array().cloned().unwrap_or_default();
    let (mut lines, mut book) = (Vec::new(), None);
    for account in &accounts {
        // A book after the other.
        let currency = account["currency"].as_str();
        if book != currency {
            lines.push(format!("{:<56}{:>16}", "account", currency.unwrap_or_default()));
            book = currency;
        }
        let name = account["account"].as_str().unwrap_or_default();
        lines.push(format!("{name:<56}{:>16}", plain(&account["balance"])));
    }
    let verdict = match answer["balanced"].as_bool() {
        Some(true) => "balanced: all accounts of each currency sum to zero",
        _ => "NOT BALANCED: stop this FEP and look into its store before anything else",
    };
    lines.push(format!("{} entries; {verdict}", answer["entries"]));
    lines.join("\n")
}

/// The first digits do to name one; --json has all of them, and the provider's address.
fn disputes(answer: &Value) -> String {
    let row = |[receipt, claim, provider, payout, until, reason]: [&str; 6]| {
        format!("{receipt:<10}  {claim:<10}  {provider:<10}  {payout:>20}  {until:<16}  {reason}")
    };
    let line = |one: &Value| {
        let short = |name: &str| plain(&one[name]).chars().take(10).collect::<String>();
        let payout = format!("{} {}", plain(&one["payout"]), plain(&one["currency"]));
        let until = one["until_ms"].as_u64().map(written).unwrap_or_default();
        let [receipt, claim, provider] = ["receipt_id", "claim_id", "provider"].map(short);
        row([&receipt, &claim, &provider, &payout, &until, &plain(&one["reason"])])
    };
    let lines: Vec<String> = answer["disputes"].as_array().into_iter().flatten().map(line).collect();
    if lines.is_empty() {
        return "none are open".to_string();
    }
    let head = row(["receipt", "claim", "provider", "payout", "until (UTC)", "why it was not paid"]);
    format!(
        "{head}\n{}\nEach is claimed again when its time is over, unless its provider has settled it; before that you can say of one:\n\
         labman-fep dispute claim-again RECEIPT --answer TEXT, or stands RECEIPT --answer TEXT",
        lines.join("\n")
    )
}

/// One line an object.
fn list(items: &Value) -> String {
    let lines = items.as_array().into_iter().flatten().map(|item| {
        let fields = item.as_object().into_iter().flatten();
        fields.map(|(name, value)| format!("{name}: {}", plain(value))).collect::<Vec<_>>().join("   ")
    });
    let lines = lines.collect::<Vec<_>>();
    if lines.is_empty() { "none yet".to_string() } else { lines.join("\n") }
}

pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_dispute_is_one_line_with_why_it_was_not_paid() {
        let answer = json!({ "disputes": [{
            "receipt_id": "0123456789abcdef", "claim_id": "fedcba9876543210", "provider": "ProviderProvider",
            "payout": "0.000055", "currency": "XTS", "address": "acct-7", "reason": "already paid",
            "raised_ms": 1_700_000_000_000_u64, "until_ms": 1_700_259_200_000_u64,
        }]});
        let shown = disputes(&answer);
        let line = shown.lines().nth(1).unwrap();
        assert_eq!(
            line,
            "0123456789  fedcba9876  ProviderPr          0.000055 XTS  2023-11-17T22:13  already paid"
        );
        assert_eq!(disputes(&json!({ "disputes": [] })), "none are open");
    }

    #[test]
    fn a_time_beyond_all_calendars_is_shown_as_it_is() {
        let answer = json!({ "disputes": [{ "until_ms": u64::MAX }]});
        assert!(disputes(&answer).contains(&format!("{} ms", u64::MAX)));
    }
}
