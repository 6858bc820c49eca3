//! Request bodies: read whole, within a limit that counts decompressed bytes, and within a time.

use std::io::Read as _;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::Value;

/// Compressed bodies above this size are inflated off the threads that serve connections.
const INFLATE_ELSEWHERE_BYTES: usize = 64 * 1024;

/// Bounds on a request's body.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Most bytes, after decompression.
    pub max_bytes: usize,
    /// Longest time from the head of the request to the end of its body.
    pub timeout: Duration,
}

/// Why a body was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// More bytes than allowed, before or after decompression.
    #[error("The body may not be larger than {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: usize,
    },
    /// The client was too slow.
    #[error("The body did not arrive in time")]
    Timeout,
    /// A `Content-Encoding` that is not understood.
    #[error("Content-Encoding {0} is not supported")]
    Encoding(String),
    /// The connection broke or the compressed data are damaged.
    #[error("The body cannot be read: {0}")]
    Broken(String),
}

/// Reads `body`. `gzip` is undone; `snappy` (which belongs to its dialect) is left as it is.
pub async fn read(headers: &HeaderMap, body: Body, limits: BodyLimits) -> Result<Bytes, BodyError> {
    let encoding = headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?").trim());
    let gzip = match encoding {
        None | Some("" | "identity" | "snappy") => false,
        Some("gzip" | "x-gzip") => true,
        Some(other) => return Err(BodyError::Encoding(other.to_owned())),
    };
    let raw = match tokio::time::timeout(limits.timeout, Limited::new(body, limits.max_bytes).collect()).await
    {
        Err(_) => return Err(BodyError::Timeout),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large(limits)),
        Ok(Err(error)) => return Err(BodyError::Broken(error.to_string())),
        Ok(Ok(collected)) => collected.to_bytes(),
    };
    match gzip {
        false => Ok(raw),
        true if raw.len() <= INFLATE_ELSEWHERE_BYTES => inflate(&raw, limits),
        true => tokio::task::spawn_blocking(move || inflate(&raw, limits))
            .await
            .unwrap_or_else(|_| Err(BodyError::Broken("it cannot be decoded".to_owned()))),
    }
}

fn too_large(limits: BodyLimits) -> BodyError {
    BodyError::TooLarge { max_bytes: limits.max_bytes }
}

fn inflate(raw: &[u8], limits: BodyLimits) -> Result<Bytes, BodyError> {
    let mut out = Vec::new();
    let one_more = u64::try_from(limits.max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    let mut reader = MultiGzDecoder::new(raw).take(one_more);
    reader.read_to_end(&mut out).map_err(|error| BodyError::Broken(error.to_string()))?;
    if out.len() > limits.max_bytes {
        return Err(too_large(limits));
    }
    Ok(out.into())
}

/// Reads and forgets `body` within the limits, so that a client that is still writing sees the answer.
pub async fn drain(body: Body, limits: BodyLimits) {
    let discard = async {
        let mut body = body;
        let mut seen = 0_usize;
        while let Some(Ok(frame)) = body.frame().await {
            seen = seen.saturating_add(frame.data_ref().map_or(0, Bytes::len));
            if seen > limits.max_bytes {
                break;
            }
        }
    };
    // Running out of time ends the connection, which is what a slow client gets.
    let _ = tokio::time::timeout(limits.timeout, discard).await;
}

/// Whether any string of the tree holds a NUL, which databases do not store.
pub(crate) fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(map) => map.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http::HeaderValue;

    use super::*;

    const LIMITS: BodyLimits = BodyLimits { max_bytes: 1000, timeout: Duration::from_millis(200) };

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    async fn read_encoded(encoding: &'static str, bytes: Vec<u8>) -> Result<Bytes, BodyError> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        read(&headers, Body::from(bytes), LIMITS).await
    }

    #[tokio::test]
    async fn limits_hold_before_and_after_decompression() {
        assert_eq!(read_encoded("identity", vec![b'x'; 1000]).await.unwrap().len(), 1000);
        let too_large = Err(BodyError::TooLarge { max_bytes: 1000 });
        assert_eq!(read_encoded("identity", vec![b'x'; 1001]).await, too_large);
        assert_eq!(read_encoded("gzip", gzip(&[b'x'; 1000])).await.unwrap().len(), 1000);
        assert_eq!(read_encoded("gzip", gzip(&vec![0; 100_000])).await, too_large);
        assert!(matches!(read_encoded("gzip", b"no gzip".to_vec()).await, Err(BodyError::Broken(_))));
        assert_eq!(read_encoded("br", Vec::new()).await, Err(BodyError::Encoding("br".to_owned())));
    }

    #[tokio::test]
    async fn a_body_that_never_ends_times_out() {
        let body = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(read(&HeaderMap::new(), body, LIMITS).await, Err(BodyError::Timeout));
    }
}
