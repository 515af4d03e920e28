//! `com.atproto.admin.getInviteCodes`

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    limits::community::{INVITES_PER_PAGE, INVITES_PER_PAGE_DEFAULT},
    methods::{
        com::atproto::server::InviteView,
        reading::{cursor, next_cursor, page_length},
    },
    service::Server,
    store::{InviteOrder, InvitePlace},
    xrpc::{Json, Query, XrpcError, auth::AdminOrModerator},
};

/// All invite codes, page by page.
pub struct GetInviteCodes;

/// The parameters.
#[derive(Clone, Debug, Deserialize)]
pub struct Params {
    sort: Option<String>,
    limit: Option<i64>,
    cursor: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Output {
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    codes: Vec<InviteView>,
}

impl Query for GetInviteCodes {
    const NSID: &'static str = "com.atproto.admin.getInviteCodes";
    type Auth = AdminOrModerator;
    type Params = Params;
    type Output = Json<Output>;

    async fn call(server: &Arc<Server>, _: AdminOrModerator, params: Params) -> Result<Json<Output>, XrpcError> {
        let order = match params.sort.as_deref().unwrap_or("recent") {
            "recent" => InviteOrder::Recent,
            "usage" => InviteOrder::Usage,
            other => {
                return Err(XrpcError::invalid(format!("unknown sort method: {other}; there are recent and usage")));
            }
        };
        let limit = page_length(params.limit, INVITES_PER_PAGE_DEFAULT, INVITES_PER_PAGE)?;
        let after: Option<Place> = cursor(params.cursor.as_deref())?;
        let page = server.store.invites_page(order, after.map(|place| place.0), limit).await?;
        let cursor = next_cursor(&page, limit, |((number, code), _)| format!("{number}::{code}"));
        Ok(Json(Output { cursor, codes: page.into_iter().map(|(_, code)| code.into()).collect() }))
    }
}

/// A cursor: `number::code`.
struct Place(InvitePlace);

impl std::str::FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (number, code) = text.split_once("::").ok_or(())?;
        Ok(Self((number.parse().map_err(drop)?, code.to_owned())))
    }
}
