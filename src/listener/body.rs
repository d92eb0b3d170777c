//! How much of a request the daemon holds for a caller whom it has not let in yet.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout, timeout_at};
use tonic::Status;

use crate::{
    error::{Code, Error},
    limits::{GRPC_CALL_BYTES_MAX, REQUEST_HEAD_TIMEOUT},
};

/// Tells a caller over gRPC of a refusal.
pub type Refuse = fn(Error) -> Status;

/// Before every gRPC message: whether it is compressed, and its length (the gRPC protocol over HTTP/2,
/// "Length-Prefixed-Message").
const PREFIX_BYTES: usize = 5;

type Piece = Result<Bytes, axum::BoxError>;

/// The first message of an upload is too large.
#[derive(Debug, thiserror::Error)]
#[error("the first message has more than {GRPC_CALL_BYTES_MAX} bytes")]
pub struct FirstTooLarge;

/// Lets a call bring its one small message in time, an upload begin with one, and a conversation not fall silent.
pub async fn small_calls(State(refuse): State<Refuse>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let request = if path.contains("/Submit") {
        request.map(upload)
    } else if path.contains("ServerReflection/") {
        request.map(|body| conversation(body, REQUEST_HEAD_TIMEOUT, refuse))
    } else {
        request.map(|body| call(body, REQUEST_HEAD_TIMEOUT, refuse))
    };
    next.run(request).await
}

/// A body of one small message that is there in time, or its refusal.
fn call(body: Body, within: Duration, refuse: Refuse) -> Body {
    let until = Instant::now() + within;
    let room = GRPC_CALL_BYTES_MAX + PREFIX_BYTES;
    let data = body.into_data_stream();
    Body::from_stream(stream::unfold(Some((data, room)), move |left| async move {
        let (mut data, room) = left?;
        let piece: Piece = match timeout_at(until, data.next()).await {
            Ok(piece) => piece?.map_err(Into::into),
            Err(_) => Err(refuse(late(within)).into()),
        };
        let room = piece.as_ref().map_or(None, |piece| room.checked_sub(piece.len()));
        match (piece, room) {
            (Ok(piece), Some(room)) => Some((Ok(piece), Some((data, room)))),
            (Ok(_), None) => Some((Err(refuse(too_large()).into()), None)),
            (Err(error), _) => Some((Err(error), None)),
        }
    }))
}

/// A body that ends where nothing comes in that time. How large its messages are is bound by its service.
fn conversation(body: Body, within: Duration, refuse: Refuse) -> Body {
    Body::from_stream(stream::unfold(Some(body.into_data_stream()), move |left| async move {
        let mut data = left?;
        let piece: Piece = match timeout(within, data.next()).await {
            Ok(piece) => piece?.map_err(Into::into),
            Err(_) => Err(refuse(late(within)).into()),
        };
        let left = piece.is_ok().then_some(data);
        Some((piece, left))
    }))
}

/// A body whose first message is small, or [`FirstTooLarge`].
fn upload(body: Body) -> Body {
    let (data, prefix) = (body.into_data_stream(), Vec::with_capacity(PREFIX_BYTES));
    Body::from_stream(stream::unfold(Some((data, prefix)), move |left| async move {
        let (mut data, mut prefix) = left?;
        let piece: Piece = data.next().await?.map_err(Into::into);
        let Ok(piece) = piece else { return Some((piece, None)) };
        prefix.extend(piece.iter().take(PREFIX_BYTES - prefix.len()));
        match first_length(&prefix) {
            Some(length) if length > GRPC_CALL_BYTES_MAX => Some((Err(FirstTooLarge.into()), None)),
            _ => Some((Ok(piece), Some((data, prefix)))),
        }
    }))
}

fn first_length(prefix: &[u8]) -> Option<usize> {
    let [_, length @ ..] = <[u8; PREFIX_BYTES]>::try_from(prefix).ok()?;
    usize::try_from(u32::from_be_bytes(length)).ok()
}

fn late(within: Duration) -> Error {
    let seconds = within.as_secs();
    Error::new(Code::BodyTimeout, format!("the message was not there after {seconds} s"))
}

fn too_large() -> Error {
    let text =
        format!("a message that is no piece of an upload has at most {GRPC_CALL_BYTES_MAX} bytes");
    Error::new(Code::Parameter, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "as the faces' own")]
    fn refuse(error: Error) -> Status {
        Status::unknown(error.code.as_str())
    }

    fn message(bytes: usize) -> Vec<u8> {
        let length = u32::try_from(bytes).unwrap().to_be_bytes();
        [&[0], &length[..], &vec![b'x'; bytes]].concat()
    }

    /// The bytes that come through, and the code of the refusal.
    async fn read(body: Body) -> (usize, Option<String>) {
        let (mut bytes, mut refusal) = (0, None);
        let mut data = body.into_data_stream();
        while let Some(piece) = data.next().await {
            match piece {
                Ok(piece) => bytes += piece.len(),
                Err(error) => {
                    refusal = Some(Status::from_error(Box::new(error)).message().to_owned());
                }
            }
        }
        (bytes, refusal)
    }

    fn pieces(bytes: &[u8], each: usize) -> Body {
        let pieces: Vec<Result<Vec<u8>, axum::Error>> =
            bytes.chunks(each).map(|p| Ok(p.to_vec())).collect();
        Body::from_stream(stream::iter(pieces))
    }

    #[tokio::test]
    async fn a_call_has_room_for_its_message_and_no_more() {
        let most = message(GRPC_CALL_BYTES_MAX);
        for each in [1, 7, most.len()] {
            assert_eq!(
                read(call(pieces(&most, each), REQUEST_HEAD_TIMEOUT, refuse)).await,
                (most.len(), None)
            );
        }
        let more = message(GRPC_CALL_BYTES_MAX + 1);
        let (bytes, refusal) = read(call(pieces(&more, 100), REQUEST_HEAD_TIMEOUT, refuse)).await;
        assert!(bytes <= most.len());
        assert_eq!(refusal.unwrap(), "CVRS-PARAMETER");
    }

    #[tokio::test]
    async fn a_call_that_falls_silent_is_ended() {
        let begun = stream::iter([Ok::<_, axum::Error>(message(100)[..50].to_vec())]);
        let silent = Body::from_stream(begun.chain(stream::pending()));
        let (bytes, refusal) = read(call(silent, Duration::from_millis(20), refuse)).await;
        assert_eq!((bytes, refusal.as_deref()), (50, Some("CVRS-BODY-TIMEOUT")));
    }

    #[tokio::test]
    async fn an_upload_begins_with_a_small_message_and_goes_on_with_large_ones() {
        let whole = [message(100), message(1 << 20), message(1 << 20)].concat();
        for each in [1_000, 3, whole.len()] {
            assert_eq!(read(upload(pieces(&whole, each))).await, (whole.len(), None));
        }
        let large = message(GRPC_CALL_BYTES_MAX + 1);
        let (bytes, refusal) = read(upload(pieces(&large, 3))).await;
        assert_eq!(bytes, 3);
        assert!(refusal.is_some());
    }

    #[tokio::test]
    async fn a_conversation_goes_on_until_it_falls_silent() {
        let within = Duration::from_millis(200);
        let talk = stream::unfold(0, move |said| async move {
            tokio::time::sleep(if said < 5 { within / 4 } else { within * 100 }).await;
            Some((Ok::<_, axum::Error>(message(1)), said + 1))
        });
        let (bytes, refusal) = read(conversation(Body::from_stream(talk), within, refuse)).await;
        assert_eq!((bytes, refusal.as_deref()), (5 * message(1).len(), Some("CVRS-BODY-TIMEOUT")));
    }
}
