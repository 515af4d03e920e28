//! `com.atproto.server.getSession`

use std::sync::Arc;

use super::session_view::SessionView;
use crate::{
    service::Server,
    xrpc::{Json, NoParams, Query, XrpcError, auth::AnyAccessOrQueued},
};

/// Who is logged in.
pub struct GetSession;

impl Query for GetSession {
    const NSID: &'static str = "com.atproto.server.getSession";
    type Auth = AnyAccessOrQueued;
    type Params = NoParams;
    type Output = Json<SessionView>;

    async fn call(server: &Arc<Server>, auth: AnyAccessOrQueued, _: NoParams) -> Result<Self::Output, XrpcError> {
        Ok(Json(SessionView::of(server, auth.account).await))
    }
}
