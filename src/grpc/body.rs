//! Telling a request body that ended from one that broke off.
//!
//! hyper takes a stream that its client reset with `NO_ERROR` for an ended one, and tonic one that
//! was reset with `CANCEL`. An upload cut short that way must never count as whole.

use axum::{
    body::{Body, HttpBody},
    extract::Request,
};
use futures_util::{StreamExt, stream};

/// The body broke off before its end.
#[derive(Debug, thiserror::Error)]
#[error("the request body broke off before its end")]
struct Broken;

/// The request with a body that fails wherever it did not end by its client's will.
pub(super) async fn whole_or_failed(request: Request) -> Request {
    request.map(|body| {
        let pieces = stream::unfold(Some(body.into_data_stream()), |data| async move {
            let mut data = data?;
            match data.next().await {
                Some(Ok(piece)) => Some((Ok(piece), Some(data))),
                None if data.is_end_stream() => None,
                Some(Err(_)) | None => Some((Err(Broken), None)),
            }
        });
        Body::from_stream(pieces)
    })
}

#[cfg(test)]
mod tests {
    use axum::{Error, body::Bytes};

    use super::*;

    async fn read(body: Body) -> Vec<Result<Bytes, Error>> {
        whole_or_failed(Request::new(body)).await.into_body().into_data_stream().collect().await
    }

    #[tokio::test]
    async fn a_body_that_ended_is_passed_on() {
        let pieces = read(Body::from("abc")).await;
        assert_eq!(pieces.len(), 1);
        assert_eq!(pieces[0].as_ref().unwrap(), "abc");
        assert!(read(Body::empty()).await.is_empty());
    }

    #[tokio::test]
    async fn a_body_that_broke_off_fails_after_its_last_piece() {
        let silently = Body::from_stream(stream::iter([Ok::<_, Error>("abc")]));
        let loudly = Body::from_stream(stream::iter([Ok("abc"), Err(Error::new(Broken))]));
        for body in [silently, loudly] {
            let pieces = read(body).await;
            assert_eq!(pieces.len(), 2);
            assert!(pieces[0].is_ok());
            assert!(pieces[1].is_err());
        }
    }
}
