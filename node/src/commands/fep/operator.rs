//! The operator's commands, over the admin socket of the running FEP. Where none runs, the same machine is started in
//! this process for the one command, so that there is one way to change a ledger.

use std::path::Path;

use serde_json::{Value, json};

use super::eyes::{for_eyes, plain};
use super::{
    Command, Decided, DisputeCommand, FxCommand, GatewayCommand, KeyCommand, Page, RailCommand,
    StatementCommand, UserCommand, statement,
};
use crate::admin::{Admin, AdminError};
use crate::commands::say;
use crate::config;
use crate::daemon::{DataDir, Fep};
use crate::init::fresh_token;

pub(super) struct Operator {
    admin: Admin,
    /// A FEP of our own, and the directory of its socket.
    own: Option<(Fep, tempfile::TempDir)>,
}

impl Operator {
    pub(super) async fn reach(
        config: &Path,
        socket: Option<&Path>,
        idempotency_key: Option<String>,
    ) -> Result<Self, String> {
        if let Some(socket) = socket {
            return Ok(Self { admin: Admin::at(socket).under_key(idempotency_key), own: None });
        }
        let config = config::fep::Fep::read(config).map_err(|why| why.to_string())?;
        let running = DataDir::open(&config.data_dir).map_err(|why| why.to_string())?.admin();
        if std::os::unix::net::UnixStream::connect(&running).is_ok() {
            return Ok(Self { admin: Admin::at(&running).under_key(idempotency_key), own: None });
        }
        let directory = tempfile::Builder::new()
            .prefix("labman-fep-")
            .tempdir()
            .map_err(|why| format!("can't make a temporary directory: {why}"))?;
        let fep = Fep::start_for_operator(config, directory.path().join("admin.sock"))
            .await
            .map_err(|why| why.to_string())?;
        Ok(Self { admin: Admin::at(&fep.admin).under_key(idempotency_key), own: Some((fep, directory)) })
    }

    pub(super) fn admin(&self) -> &Admin {
        &self.admin
    }

    pub(super) async fn leave(self) {
        if let Some((fep, _directory)) = self.own {
            fep.stop().await;
        }
    }

    pub(super) async fn run(&self, command: Command, as_json: bool) -> Result<(), String> {
        if let Command::Statement(of) = &command {
            return statement::print(&self.admin, &self.statement(of).await?, as_json).await;
        }
        let answer = self.call(&command).await?;
        if as_json {
            say(format_args!("{answer:#}"));
        } else {
            say(for_eyes(&command, &answer));
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
            Command::Key(KeyCommand::List { user, page: Page { limit, skip } }) => {
                let of = match user {
                    Some(user) => format!("&user={}", plain(&self.user_id(user).await?)),
                    None => String::new(),
                };
                admin.get(&format!("/keys?limit={limit}&skip={skip}{of}")).await
            }
            Command::Key(KeyCommand::Freeze { key }) => self.set_key(key, "frozen").await,
            Command::Key(KeyCommand::Thaw { key }) => self.set_key(key, "active").await,
            Command::Key(KeyCommand::Revoke { key }) => self.set_key(key, "revoked").await,
            Command::Gateway(GatewayCommand::Add { node_id, name, bond, payout_to }) => {
                let mut added = admin.post("/gateways", &json!({ "node_id": node_id, "name": name })).await;
                if let (Some(address), Ok(_)) = (payout_to, &added) {
                    added = self.pay_gateway_to(node_id, address).await;
                }
                match (bond, added) {
                    (Some(amount), Ok(_)) => self.pay_bond(node_id, amount, None).await,
                    (_, added) => added,
                }
            }
            Command::Gateway(GatewayCommand::PayoutTo { node_id, address }) => {
                self.pay_gateway_to(node_id, address).await
            }
            Command::Gateway(GatewayCommand::Pay { node_id }) => {
                admin.post("/gateways/pay", &json!({ "gateway": node_id })).await
            }
            Command::Gateway(GatewayCommand::Bond { node_id, amount, reference }) => {
                self.pay_bond(node_id, amount, reference.clone()).await
            }
            Command::Gateway(GatewayCommand::List) => admin.get("/gateways").await,
            Command::Deposit { user, amount, reference } => {
                let reference = reference.clone().unwrap_or_else(|| self.reference("deposit"));
                let user = self.user_id(user).await?;
                admin
                    .post("/deposits", &json!({ "user": user, "amount": amount, "reference": reference }))
                    .await
            }
            Command::Withdraw { user, amount, to, reference } => {
                let reference = reference.clone().unwrap_or_else(|| self.reference("withdrawal"));
                let user = self.user_id(user).await?;
                let body = json!({ "user": user, "amount": amount, "to": to, "reference": reference });
                admin.post("/withdrawals", &body).await
            }
            Command::Payouts { open, page } => admin.get(&listing("/payouts", *open, page)).await,
            Command::Transfers { open, page } => admin.get(&listing("/transfers", *open, page)).await,
            Command::Dispute(DisputeCommand::List) => admin.get("/disputes").await,
            Command::Dispute(DisputeCommand::ClaimAgain(word)) => self.decide(word, "claim_again").await,
            Command::Dispute(DisputeCommand::Stands(word)) => self.decide(word, "stands").await,
            Command::Rail(RailCommand::List) => admin.get("/rails").await,
            Command::Rail(RailCommand::Fault { rail, fault, times }) => {
                admin.post("/rails/faults", &json!({ "rail": rail, "fault": fault, "times": times })).await
            }
            Command::Fx(FxCommand::Set { currency, rate, valid_for }) => {
                let valid_for_s = valid_for.0.as_millis() / 1000;
                let quote = json!({ "currency": currency, "rate": rate, "valid_for_s": valid_for_s });
                admin.post("/fx", &quote).await
            }
            Command::Fx(FxCommand::List) => admin.get("/fx").await,
            Command::Fx(FxCommand::Drop { currency }) => {
                admin.post("/fx/drop", &json!({ "currency": currency })).await
            }
            Command::Ledger { .. } => admin.get("/ledger").await,
            Command::Init { .. } | Command::Id | Command::Statement(_) | Command::SigningKey(_) => {
                Ok(Value::Null)
            }
        };
        answer.map_err(|why| why.to_string())
    }

    /// One that nothing has yet; made again under the same key, it is the same.
    fn reference(&self, what: &str) -> String {
        format!("{what} {}", self.admin.idempotency_key().map_or_else(fresh_token, str::to_string))
    }

    async fn pay_bond(
        &self,
        node_id: &str,
        amount: &str,
        reference: Option<String>,
    ) -> Result<Value, AdminError> {
        let reference = reference.unwrap_or_else(|| self.reference("bond"));
        let paid = json!({ "gateway": node_id, "amount": amount, "reference": reference });
        self.admin.post("/bonds", &paid).await
    }

    async fn pay_gateway_to(&self, node_id: &str, address: &str) -> Result<Value, AdminError> {
        self.admin.post("/gateways/payout-to", &json!({ "gateway": node_id, "to": address })).await
    }

    async fn set_key(&self, key: &str, state: &str) -> Result<Value, AdminError> {
        self.admin.post("/keys/state", &json!({ "key": key, "state": state })).await
    }

    async fn decide(&self, word: &Decided, ruling: &str) -> Result<Value, AdminError> {
        let Decided { receipt, answer } = word;
        let word = json!({ "receipt": receipt, "ruling": ruling, "answer": answer });
        self.admin.post("/disputes/decide", &word).await
    }

    /// The query of a statement's first page.
    async fn statement(&self, of: &StatementCommand) -> Result<String, String> {
        let (account, month) = match of {
            StatementCommand::User { user, month } => {
                (format!("user={}", plain(&self.user_id(user).await?)), month)
            }
            StatementCommand::Provider { node_id, currency, month } => {
                let currency = currency.as_ref().map(|currency| format!("&currency={currency}"));
                (format!("provider={node_id}{}", currency.unwrap_or_default()), month)
            }
            StatementCommand::Gateway { node_id, month } => (format!("gateway={node_id}"), month),
        };
        let month = month.month.as_ref().map(|month| format!("&month={month}")).unwrap_or_default();
        Ok(account + &month)
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

fn listing(path: &str, open: bool, Page { limit, skip }: &Page) -> String {
    let open = if open { "/open" } else { "" };
    format!("{path}{open}?limit={limit}&skip={skip}")
}
