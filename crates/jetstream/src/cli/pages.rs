//! The pages of the demos and the JavaScript client, which are part of the program.

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};

/// A file that is served as it is.
struct Page {
    path: &'static str,
    kind: &'static str,
    text: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// What a request asks for, if it is the client, or one of the demos where they are wanted.
pub(super) fn answer(request: &Request<()>, demos: bool) -> Option<Response<Bytes>> {
    let path = request.uri().path();
    let pages = || CLIENT.iter().chain(DEMOS.iter().filter(|_| demos));
    if let Some(page) = pages().find(|page| page.path == path) {
        return Some(found(page));
    }
    let folder = pages().find(|page| page.path.strip_suffix('/') == Some(path))?;
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(folder.path));
    Some(response)
}

fn found(page: &'static Page) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(page.text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(page.kind));
    // A newer program brings newer pages, and nothing in their addresses tells.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Pages that somebody else serves may import the client from here. Nothing in it is a secret.
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_from_elsewhere_may_import_the_client() {
        let request = Request::get("/jetstream.js").body(()).unwrap();
        let response = answer(&request, false).unwrap();
        assert_eq!(response.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    }
}
