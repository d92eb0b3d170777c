//! The documented token paths.

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, header, request::Parts},
};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::{
    openapi::{BodyEncoding, RefreshRefusals, ScopeName, TokenRefusals, examples},
    problem::Problem,
    request,
    routes::Face,
    submit::discard,
};
use crate::{
    audit::{Entry, Kind},
    auth::{self, Issued},
    domain::{self, Scope, ScopeSet},
    error::{Code, Error},
    intake::{self, Encoding},
    limits::{REQUEST_HEAD_TIMEOUT, TOKEN_REQUEST_BYTES_MAX},
    listener,
};

/// Asks for a token.
#[derive(Deserialize, ToSchema)]
pub(crate) struct TokenRequest {
    /// The client's id.
    #[serde(rename = "clientID")]
    client_id: String,
    /// The client's secret.
    #[serde(rename = "clientSecret")]
    client_secret: String,
    /// The client on whose behalf the token is to act.
    #[serde(rename = "onBehalfOfClientID")]
    on_behalf_of_client_id: Option<String>,
    /// What the token is for, in any case: `UPLOAD`, `UPDATE`, `DELETE`, `EXPORT_REDACTED`,
    /// `EXPORT_NON_REDACTED`, `EXPORT_SUMMARIZATION`, `ADMIN`, `BACKUP`.
    #[schema(value_type = Vec<ScopeName>, min_items = 1)]
    scopes: Vec<String>,
}

/// A token. The order of its properties is relied upon.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenResponse {
    /// To be sent as `Authorization`, as it is or behind `Bearer `.
    #[schema(pattern = "^[A-Za-z0-9_.-]+$")]
    token: String,
    /// From when on it is no good, in seconds since the Unix epoch.
    expiration: i64,
}

impl From<Issued> for TokenResponse {
    fn from(issued: Issued) -> Self {
        Self { token: issued.token, expiration: issued.expiration_s }
    }
}

/// Get a token
///
/// A token for a client's secret. With `auth.mode` `none` whoever asks gets one that is not looked at.
#[utoipa::path(
    post, path = "/v0/token/gen", operation_id = "generateToken", tag = "Tokens",
    params(BodyEncoding),
    request_body(
        content = TokenRequest, description = "Who asks for what. At most 8 KiB",
        example = examples::token_request
    ),
    responses(
        (status = OK, description = "A token", body = TokenResponse, example = examples::token),
        TokenRefusals,
    ),
    security(())
)]
pub(super) async fn generate(
    State(face): State<Face>,
    request: Request,
) -> Result<Json<TokenResponse>, Problem> {
    let (parts, body) = request.into_parts();
    let encoding = match check_head(&parts.headers) {
        Ok(encoding) => encoding,
        Err(error) => {
            discard(body.into_data_stream());
            return Err(error.into());
        }
    };
    let bytes = read(encoding, body).await?;
    let asked = asked(parse(&bytes)?)?;
    let issued = face.authenticator.issue(&asked).await;
    // What a caller without the right secret names may be anything.
    let known = issued.as_ref().err().is_none_or(|error| error.code != Code::ClientUnknown);
    let client = known.then_some(asked.client);
    told(&face, &parts, Kind::TokenIssue, client, issued).await
}

/// Refresh a token
///
/// A new token for a live one: of the same client with the same scopes. A body is ignored. With
/// `auth.mode` `none` the live one is not needed.
#[utoipa::path(
    post, path = "/v0/token/refresh", operation_id = "refreshToken", tag = "Tokens",
    responses(
        (status = OK, description = "A token", body = TokenResponse, example = examples::token),
        RefreshRefusals,
    )
)]
pub(super) async fn refresh(
    State(face): State<Face>,
    request: Request,
) -> Result<Json<TokenResponse>, Problem> {
    let (parts, body) = request.into_parts();
    discard(body.into_data_stream());
    let certificate = listener::certificate(&parts.extensions);
    let sent = listener::authorization(&parts.headers);
    let issued = match certificate {
        Ok(certificate) => face.authenticator.refresh(sent, certificate).await,
        Err(error) => Err(error),
    };
    told(&face, &parts, Kind::TokenRefresh, None, issued).await
}

/// Answers once the audit log has it. In mode `none` a token is for nothing, and so is its entry.
async fn told(
    face: &Face,
    parts: &Parts,
    kind: Kind,
    client: Option<String>,
    issued: Result<Issued, Error>,
) -> Result<Json<TokenResponse>, Problem> {
    let origin = listener::origin(domain::Face::Rest, &parts.headers, &parts.extensions);
    let entry = Entry { client, ..Entry::new(kind).from(origin) };
    match issued {
        Ok(issued) if face.authenticator.is_off() => Ok(Json(issued.into())),
        Ok(issued) => {
            let entry = Entry { client: Some(issued.client.clone()), ..entry };
            face.service.audit().record(entry).await.map_err(Error::internal)?;
            Ok(Json(issued.into()))
        }
        Err(error) => {
            face.service.audit().refuse(entry.refused(error.code));
            Err(error.into())
        }
    }
}

/// Checks everything that the head shows; gives the body's encoding.
fn check_head(headers: &HeaderMap) -> Result<Encoding, Error> {
    check_media_type(headers)?;
    request::encoding(headers)
}

/// The whole body, decoded.
async fn read(encoding: Encoding, body: Body) -> Result<Vec<u8>, Error> {
    let bytes = timeout(REQUEST_HEAD_TIMEOUT, collect(body)).await.map_err(|_| {
        let within = format!("the body did not come within {REQUEST_HEAD_TIMEOUT:?}");
        Error::new(Code::BodyTimeout, within)
    })??;
    if encoding == Encoding::Identity {
        return Ok(bytes);
    }
    intake::decode(encoding, &bytes, TOKEN_REQUEST_BYTES_MAX, too_large)
}

async fn collect(body: Body) -> Result<Vec<u8>, Error> {
    let mut data = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(piece) = data.next().await {
        let piece: Bytes = piece.map_err(intake::aborted)?;
        if bytes.len() + piece.len() > TOKEN_REQUEST_BYTES_MAX {
            discard(data);
            return Err(too_large());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

fn too_large() -> Error {
    let text = format!("a token request has at most {TOKEN_REQUEST_BYTES_MAX} bytes");
    Error::new(Code::TokenRequestTooLarge, text)
}

/// JSON is the only form, so a request that names none is taken for it.
fn check_media_type(headers: &HeaderMap) -> Result<(), Error> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    if essence.trim().eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Error::new(Code::MediaTypeUnsupported, "the content type is not application/json"))
}

pub(crate) fn parse(bytes: &[u8]) -> Result<TokenRequest, Error> {
    // The parser's own sentence could quote a value.
    serde_json::from_slice(bytes).map_err(|_| Error::new(Code::TokenRequest, fault(bytes)))
}

/// What is wrong with a body that is no token request: names the property, never its value.
fn fault(bytes: &[u8]) -> String {
    let Ok(Value::Object(body)) = serde_json::from_slice(bytes) else {
        return "the body is not a json object".to_owned();
    };
    for name in ["clientID", "clientSecret"] {
        match body.get(name) {
            None => return format!("the property {name} is missing"),
            Some(Value::String(_)) => {}
            Some(_) => return format!("the property {name} is not a string"),
        }
    }
    match body.get("onBehalfOfClientID") {
        None | Some(Value::Null | Value::String(_)) => {}
        Some(_) => return "the property onBehalfOfClientID is not a string".to_owned(),
    }
    match body.get("scopes") {
        None => "the property scopes is missing".to_owned(),
        Some(Value::Array(names)) if names.iter().all(Value::is_string) => {
            "a property is there twice".to_owned()
        }
        Some(_) => "the property scopes is not an array of strings".to_owned(),
    }
}

/// What the request asks for. An empty `onBehalfOfClientID` names nobody.
pub(crate) fn asked(request: TokenRequest) -> Result<auth::Request, Error> {
    let known = |name: &String| {
        let text = "the property scopes has a name that is none of UPLOAD, UPDATE, DELETE, \
                    EXPORT_REDACTED, EXPORT_NON_REDACTED, EXPORT_SUMMARIZATION, ADMIN and BACKUP";
        Scope::from_name(name).ok_or_else(|| Error::new(Code::ScopeUnknown, text))
    };
    let scopes: ScopeSet = request.scopes.iter().map(known).collect::<Result<_, _>>()?;
    if scopes.is_empty() {
        return Err(Error::new(Code::TokenRequest, "the property scopes is empty"));
    }
    Ok(auth::Request {
        client: request.client_id,
        secret: request.client_secret,
        on_behalf_of: request.on_behalf_of_client_id.filter(|id| !id.is_empty()),
        scopes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_answers_as_one_line_with_the_token_first() {
        let issued = Issued {
            client: "c".to_owned(),
            token: "a.b.c".to_owned(),
            expiration_s: 1_634_291_135,
        };
        assert_eq!(
            serde_json::to_string(&TokenResponse::from(issued)).unwrap(),
            r#"{"token":"a.b.c","expiration":1634291135}"#
        );
    }

    #[test]
    fn what_is_wrong_with_a_request_is_said_by_property_and_never_by_value() {
        let cases = [
            ("", "not a json object"),
            ("[]", "not a json object"),
            (r#"{"clientID":"s3cret""#, "not a json object"),
            (r#"{"clientSecret":"s3cret","scopes":["UPLOAD"]}"#, "clientID is missing"),
            (r#"{"clientid":"s3cret","clientSecret":"s3cret","scopes":[]}"#, "clientID is missing"),
            (r#"{"clientID":"s3cret","scopes":["UPLOAD"]}"#, "clientSecret is missing"),
            (
                r#"{"clientID":"s3cret","clientSecret":{"s3cret":1},"scopes":[]}"#,
                "clientSecret is not",
            ),
            (r#"{"clientID":"c","clientSecret":"s3cret"}"#, "scopes is missing"),
            (
                r#"{"clientID":"c","clientSecret":"s3cret","scopes":"s3cret"}"#,
                "scopes is not an array",
            ),
            (r#"{"clientID":"c","clientSecret":"s3cret","scopes":[5]}"#, "scopes is not an array"),
            (
                r#"{"clientID":"c","clientSecret":"s3cret","scopes":[],"onBehalfOfClientID":["s3cret"]}"#,
                "onBehalfOfClientID is not a string",
            ),
            (r#"{"clientID":"c","clientID":"s3cret","clientSecret":"","scopes":[]}"#, "twice"),
        ];
        for (body, named) in cases {
            let error = parse(body.as_bytes()).err().unwrap();
            assert_eq!(error.code, Code::TokenRequest);
            assert!(error.message.contains(named), "{body}: {}", error.message);
            assert!(!error.message.contains("s3cret"), "{}", error.message);
        }
    }

    #[test]
    fn scopes_are_read_in_any_case_and_must_exist() {
        let with = |scopes: &str| {
            let body = format!(
                r#"{{"clientID":"c","clientSecret":"s","scopes":{scopes},"onBehalfOfClientID":"","x":1}}"#
            );
            asked(parse(body.as_bytes()).unwrap())
        };
        let request = with(r#"["Upload","delete"]"#).unwrap();
        assert_eq!(request.scopes, ScopeSet::from_iter([Scope::Upload, Scope::Delete]));
        assert_eq!(request.on_behalf_of, None);
        assert_eq!(with("[]").unwrap_err().code, Code::TokenRequest);
        assert_eq!(with(r#"["UPLOAD","EXPORT"]"#).unwrap_err().code, Code::ScopeUnknown);
    }

    #[test]
    fn json_is_taken_with_parameters_or_unnamed_and_nothing_else() {
        let of = |value: &'static str| {
            let value = header::HeaderValue::from_static(value);
            check_media_type(&HeaderMap::from_iter([(header::CONTENT_TYPE, value)]))
        };
        assert!(of("application/json").is_ok());
        assert!(of("Application/JSON; charset=utf-8").is_ok());
        assert!(check_media_type(&HeaderMap::new()).is_ok());
        for bad in ["text/plain", "", "application/jsonx", "application/x-www-form-urlencoded"] {
            assert_eq!(of(bad).unwrap_err().code, Code::MediaTypeUnsupported, "{bad:?}");
        }
    }
}
