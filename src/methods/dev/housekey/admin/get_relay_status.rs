//! `dev.housekey.admin.getRelayStatus`

use std::sync::Arc;

use serde::Serialize;

use crate::{
    clock::Timestamp,
    service::{
        Server,
        relays::{self, Next, RelayReport, announced_host, reach_self},
    },
    xrpc::{Json, NoParams, Query, XrpcError, auth::Admin},
};

/// Asks the configured relays how they stand to this server, and itself whether it answers at its public address.
pub struct GetRelayStatus;

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    hostname: String,
    latest_seq: i64,
    address: Address,
    relays: Vec<RelayView>,
}

/// The public address, as seen from this machine.
#[derive(Debug, Serialize)]
struct Address {
    url: String,
    reachable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// One relay.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RelayView {
    url: String,
    standing: &'static str,
    good: bool,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    announced_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    announced_seq: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_announcement_at: Option<String>,
    failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
}

impl Query for GetRelayStatus {
    const NSID: &'static str = "dev.housekey.admin.getRelayStatus";
    type Auth = Admin;
    type Params = NoParams;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, _: Admin, _: NoParams) -> Result<Json<Output>, XrpcError> {
        let (problem, reports) = tokio::join!(reach_self(server), relays::reports(server));
        let problem = problem.err();
        Ok(Json(Output {
            hostname: announced_host(&server.policy),
            latest_seq: *server.store.latest_seq().borrow(),
            address: Address { url: server.policy.endpoint(), reachable: problem.is_none(), problem },
            relays: reports.into_iter().map(view).collect(),
        }))
    }
}

fn view(report: RelayReport) -> RelayView {
    let answer = report.answer.unwrap_or_default();
    let announced = report.schedule.announced;
    RelayView {
        url: report.url.into(),
        standing: report.standing.name(),
        good: report.standing.is_good(),
        message: report.standing.words(),
        status: answer.status,
        seq: answer.seq,
        account_count: answer.account_count,
        announced_at: announced.map(|announced| announced.at.to_rfc3339_millis()),
        announced_seq: announced.map(|announced| announced.seq),
        next_announcement_at: match report.next {
            Next::At(time) => Some(Timestamp::to_rfc3339_millis(time)),
            Next::Now | Next::AtNextEvent => None,
        },
        failures: report.schedule.failures,
        last_error: report.schedule.last_error,
    }
}
