//! The operator's commands, over the admin socket of the running FEP. Where none runs, the same machine is started in
//! this process for the one command, so that there is one way to change a ledger.

use std::path::Path;

use serde_json::{Value, json};

use super::{Command, GatewayCommand, KeyCommand, UserCommand};
use crate::admin::{Admin, AdminError};
use crate::config;
use crate::daemon::{DataDir, Fep};
use crate::init::fresh_token;

pub(super) struct Operator {
    admin: Admin,
    /// A FEP of our own, and the directory of its socket.
    own: Option<(Fep, tempfile::TempDir)>,
}

impl Operator {
    pub(super) async fn reach(config: &Path, socket: Option<&Path>) -> Result<Self, String> {
        if let Some(socket) = socket {
            return Ok(Self { admin: Admin::at(socket), own: None });
        }
        let config = config::fep::Fep::read(config).map_err(|why| why.to_string())?;
        let running = DataDir::open(&config.data_dir).map_err(|why| why.to_string())?.admin();
        if std::os::unix::net::UnixStream::connect(&running).is_ok() {
            return Ok(Self { admin: Admin::at(&running), own: None });
        }
        let directory = tempfile::Builder::new()
            .prefix("labman-fep-")
            .tempdir()
            .map_err(|why| format!("can't make a temporary directory: {why}"))?;
        let fep = Fep::start_for_operator(config, directory.path().join("admin.sock"))
            .await
            .map_err(|why| why.to_string())?;
        Ok(Self { admin: Admin::at(&fep.admin), own: Some((fep, directory)) })
    }

    pub(super) async fn leave(self) {
        if let Some((fep, _directory)) = self.own {
            fep.stop().await;
        }
    }

    pub(super) async fn run(&self, command: Command, as_json: bool) -> Result<(), String> {
        let answer = self.call(&command).await?;
        if as_json {
            println!("{answer:#}");
        } else {
            println!("{}", for_eyes(&command, &answer));
        }
        Ok(())
    }

    async fn call(&self, command: &Command) -> Result<Value, String> {
        let admin = &self.admin;
        let answer = match command {
            Command::User(UserCommand::Add { name }) => {
                if !self.users_called(name).await?.is_empty() {
                    return Err(format!("there is a user {name:?} already; choose another name"));
                }
                admin.post("/users", &json!({ "name": name })).await
            }
            Command::User(UserCommand::List) => admin.get("/users").await,
            Command::Key(KeyCommand::Add { user }) => {
                admin.post("/keys", &json!({ "user": self.user_id(user).await? })).await
            }
            Command::Gateway(GatewayCommand::Add { node_id, name, bond }) => {
                let added = admin.post("/gateways", &json!({ "node_id": node_id, "name": name })).await;
                match (bond, added) {
                    (Some(amount), Ok(_)) => self.pay_bond(node_id, amount, None).await,
                    (_, added) => added,
                }
            }
            Command::Gateway(GatewayCommand::Bond { node_id, amount, reference }) => {
                self.pay_bond(node_id, amount, reference.clone()).await
            }
            Command::Gateway(GatewayCommand::List) => admin.get("/gateways").await,
            Command::Deposit { user, amount, reference } => {
                let reference = reference.clone().unwrap_or_else(|| format!("deposit {}", fresh_token()));
                let user = self.user_id(user).await?;
                admin
                    .post("/deposits", &json!({ "user": user, "amount": amount, "reference": reference }))
                    .await
            }
            Command::Ledger { .. } => admin.get("/ledger").await,
            Command::Init { .. } | Command::Id => Ok(Value::Null),
        };
        answer.map_err(|why| why.to_string())
    }

    async fn pay_bond(
        &self,
        node_id: &str,
        amount: &str,
        reference: Option<String>,
    ) -> Result<Value, AdminError> {
        let reference = reference.unwrap_or_else(|| format!("bond {}", fresh_token()));
        let paid = json!({ "gateway": node_id, "amount": amount, "reference": reference });
        self.admin.post("/bonds", &paid).await
    }

    /// The id of a user who is named by name or by id.
    async fn user_id(&self, user: &str) -> Result<Value, String> {
        match self.users_called(user).await?.as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(format!(
                "there is no user {user:?}; `labman-fep user list` shows them, `user add` makes one"
            )),
            several => {
                let ids = several.iter().map(plain).collect::<Vec<_>>().join(", ");
                Err(format!("several users are called {user:?}; say which one by its id: {ids}"))
            }
        }
    }

    async fn users_called(&self, user: &str) -> Result<Vec<Value>, String> {
        let users = self.admin.get("/users").await.map_err(|why| why.to_string())?;
        let all = users["users"].as_array().cloned().unwrap_or_default();
        if let Some(known) = all.iter().find(|known| known["user"] == user) {
            return Ok(vec![known["user"].clone()]);
        }
        Ok(all.iter().filter(|known| known["name"] == user).map(|known| known["user"].clone()).collect())
    }
}

fn for_eyes(command: &Command, answer: &Value) -> String {
    match command {
        Command::User(UserCommand::Add { name }) => {
            let id = plain(&answer["user"]);
            format!(
                "User {name:?} is {id}. Next: labman-fep key add {name}; labman-fep deposit {name} AMOUNT"
            )
        }
        Command::Key(KeyCommand::Add { user }) => format!(
            "API key of {user:?}, shown only this once:\n{}",
            answer["api_key"].as_str().unwrap_or_default()
        ),
        Command::Gateway(GatewayCommand::Add { node_id, bond: Some(_), .. }) => {
            format!("Gateway {node_id} is enrolled; its bond is {}.", plain(&answer["bond"]))
        }
        Command::Gateway(GatewayCommand::Add { node_id, bond: None, .. }) => format!(
            "Gateway {node_id} is enrolled. Without a bond it can try one provider only for each request:              labman-fep gateway bond {node_id} AMOUNT"
        ),
        Command::Gateway(GatewayCommand::Bond { amount, .. }) => {
            format!("Paid {amount}; the bond is {}.", plain(&answer["bond"]))
        }
        Command::Deposit { user, amount, .. } => {
            format!("Deposited {amount}; the balance of {user:?} is {}.", plain(&answer["balance"]))
        }
        Command::Ledger { .. } => ledger(answer),
        Command::User(UserCommand::List) | Command::Gateway(GatewayCommand::List) => list(answer),
        Command::Init { .. } | Command::Id => String::new(),
    }
}

fn ledger(answer: &Value) -> String {
    let currency = answer["currency"].as_str().unwrap_or_default();
    let accounts = answer["accounts"].as_array().cloned().unwrap_or_default();
    let mut lines = vec![format!("{:<56}{:>16} {currency}", "account", "balance")];
    for account in &accounts {
        let name = account["account"].as_str().unwrap_or_default();
        lines.push(format!("{name:<56}{:>16}", plain(&account["balance"])));
    }
    let verdict = match answer["balanced"].as_bool() {
        Some(true) => "balanced: all accounts sum to zero",
        _ => "NOT BALANCED: stop this FEP and look into its store before anything else",
    };
    lines.push(format!("{} entries; {verdict}", answer["entries"]));
    lines.join("\n")
}

/// One line an object of the answer's only array.
fn list(answer: &Value) -> String {
    let items = answer.as_object().and_then(|object| object.values().find_map(Value::as_array));
    let lines = items.into_iter().flatten().map(|item| {
        let fields = item.as_object().into_iter().flatten();
        fields.map(|(name, value)| format!("{name}: {}", plain(value))).collect::<Vec<_>>().join("   ")
    });
    let lines = lines.collect::<Vec<_>>();
    if lines.is_empty() { "none yet".to_string() } else { lines.join("\n") }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}
