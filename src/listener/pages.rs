//! Pages of browsers are kept out of gRPC.
//!
//! A page may send any bytes to any address its browser reaches, and the browser adds the user's client
//! certificate. What it cannot do without being asked first is to send them as gRPC, or without its origin.

use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// Lets through what a program sends as gRPC.
pub async fn programs_only(request: Request, next: Next) -> Response {
    if is_page(request.headers()) {
        return (StatusCode::FORBIDDEN, "only gRPC is served here, and to no page of a browser\n")
            .into_response();
    }
    next.run(request).await
}

fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    headers.contains_key(header::ORIGIN)
        || !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn grpc_without_an_origin_is_a_program() {
        let mut headers = HeaderMap::new();
        assert!(is_page(&headers));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        assert!(is_page(&headers));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc+proto"));
        assert!(!is_page(&headers));
        headers.insert(header::ORIGIN, HeaderValue::from_static("http://127.0.0.1:9464"));
        assert!(is_page(&headers));
    }
}
