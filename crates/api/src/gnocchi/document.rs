//! Answers that hold series: text with points in between, written piece by piece while it is sent.
//!
//! What is answered is known before the first byte, so that errors are found in time. Its text is not: a long answer
//! never lies in memory as a whole, and goes out from the first piece on. An answer of one piece tells its length; a
//! longer one is sent in chunks.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::Stream;
use http::StatusCode;
use nephometer_metric::Series;

use super::points::RowWriter;
use super::render::json_body;
use crate::json::{write_str, write_value};

/// A piece is complete when it has so many bytes.
const PIECE_BYTES: usize = 64 * 1024;
/// A piece may be longer by a row.
const SLACK_BYTES: usize = 256;
/// More than a row usually takes.
const ROW_BYTES: usize = 64;
/// Pieces that are made before other requests of the thread have their turn.
const PIECES_AT_ONCE: u32 = 4;

/// A JSON text and the series that belong into it.
#[derive(Debug, Default)]
pub(super) struct Document {
    text: Vec<u8>,
    lists: Vec<List>,
}

/// Series written as one list of `[timestamp, granularity, value]`.
#[derive(Debug)]
struct List {
    /// How much of the text stands before it.
    text_end: usize,
    series: Vec<Series>,
}

impl Document {
    /// Nothing but the points of `series`.
    pub(super) fn of(series: Vec<Series>) -> Self {
        let mut document = Self::default();
        document.series(series);
        document
    }

    /// Text without points.
    pub(super) fn text(&mut self, text: &[u8]) {
        self.text.extend_from_slice(text);
    }

    /// A value without points.
    pub(super) fn value(&mut self, value: &serde_json::Value) {
        write_value(&mut self.text, value);
    }

    /// The points of all `series` as one list.
    pub(super) fn series(&mut self, series: Vec<Series>) {
        self.lists.push(List { text_end: self.text.len(), series });
    }

    /// A list of what `write_item` writes.
    pub(super) fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        write_item: impl FnMut(&mut Self, T),
    ) {
        self.between(b"[", items, write_item, b"]");
    }

    /// An object whose values `write_value` writes.
    pub(super) fn object<K: AsRef<str>, T>(
        &mut self,
        entries: impl IntoIterator<Item = (K, T)>,
        mut write_value: impl FnMut(&mut Self, T),
    ) {
        let write_entry = |document: &mut Self, (key, value): (K, T)| {
            write_str(&mut document.text, key.as_ref());
            document.text(b": ");
            write_value(document, value);
        };
        self.between(b"{", entries, write_entry, b"}");
    }

    fn between<T>(
        &mut self,
        open: &[u8],
        items: impl IntoIterator<Item = T>,
        mut write_item: impl FnMut(&mut Self, T),
        close: &[u8],
    ) {
        self.text(open);
        for (position, item) in items.into_iter().enumerate() {
            if position > 0 {
                self.text(b", ");
            }
            write_item(self, item);
        }
        self.text(close);
    }

    /// The answer with this body: whole where it is one piece, in chunks where it is longer.
    pub(super) fn answer(self) -> Response {
        let mut pieces = Pieces::of(self);
        let first = pieces.next_piece().unwrap_or_default();
        let body = if pieces.is_over() {
            Body::from(first)
        } else {
            Body::from_stream(PieceStream { first: Some(first), pieces, since_pause: 0 })
        };
        json_body(StatusCode::OK, body)
    }
}

/// Where writing a document has come to.
struct Pieces {
    document: Document,
    rows: RowWriter,
    /// How much of the text is written.
    text_at: usize,
    /// The list at work, its series and its point; none of them written before.
    list: usize,
    series: usize,
    point: usize,
    /// Whether the list at work has been opened, and has a row.
    is_open: bool,
    has_row: bool,
}

impl Pieces {
    fn of(document: Document) -> Self {
        let rows = RowWriter::new();
        Self { document, rows, text_at: 0, list: 0, series: 0, point: 0, is_open: false, has_row: false }
    }

    fn is_over(&self) -> bool {
        self.list == self.document.lists.len() && self.text_at == self.document.text.len()
    }

    /// The next piece; nothing behind the last one.
    fn next_piece(&mut self) -> Option<Bytes> {
        if self.is_over() {
            return None;
        }
        let mut out = Vec::with_capacity(self.room());
        while self.list < self.document.lists.len() {
            let text_end = self.document.lists[self.list].text_end;
            out.extend_from_slice(&self.document.text[self.text_at..text_end]);
            self.text_at = text_end;
            if !self.write_list(&mut out) {
                return Some(out.into());
            }
        }
        out.extend_from_slice(&self.document.text[self.text_at..]);
        self.text_at = self.document.text.len();
        Some(out.into())
    }

    /// Bytes that the next piece will probably take.
    fn room(&self) -> usize {
        let mut room = self.document.text.len() - self.text_at;
        for list in &self.document.lists[self.list..] {
            let rows: usize = list.series.iter().map(|series| series.points.len()).sum();
            room = room.saturating_add(rows.saturating_mul(ROW_BYTES)).saturating_add(2);
            if room > PIECE_BYTES {
                return PIECE_BYTES + SLACK_BYTES;
            }
        }
        room
    }

    /// Writes on at the list at work; says whether it is complete, otherwise `out` is.
    fn write_list(&mut self, out: &mut Vec<u8>) -> bool {
        if !self.is_open {
            out.push(b'[');
            self.is_open = true;
        }
        let list = &mut self.document.lists[self.list];
        while let Some(series) = list.series.get(self.series) {
            self.rows.begin(series.granularity);
            let points = &series.points;
            let rest = points.timestamps_ns[self.point..].iter().zip(&points.values[self.point..]);
            for (timestamp_ns, value) in rest {
                if out.len() >= PIECE_BYTES {
                    return false;
                }
                self.rows.write(out, *timestamp_ns, *value, !self.has_row);
                self.has_row = true;
                self.point += 1;
            }
            (self.series, self.point) = (self.series + 1, 0);
        }
        out.push(b']');
        list.series = Vec::new();
        (self.list, self.series, self.is_open, self.has_row) = (self.list + 1, 0, false, false);
        true
    }
}

/// The pieces as a body, with pauses.
struct PieceStream {
    first: Option<Bytes>,
    pieces: Pieces,
    since_pause: u32,
}

impl Stream for PieceStream {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.since_pause == PIECES_AT_ONCE {
            this.since_pause = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        this.since_pause += 1;
        Poll::Ready(this.first.take().or_else(|| this.pieces.next_piece()).map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use axum::body::HttpBody as _;
    use http_body_util::BodyExt as _;
    use nephometer_metric::{Grouping, Points};
    use nephometer_model::Timespan;
    use nephometer_model::time::NS_PER_SECOND;
    use serde_json::{Value, json};

    use super::*;

    fn series(seconds: i64, points: i64) -> Series {
        let points = (0..points).map(|at| (at * seconds * NS_PER_SECOND, at as f64)).collect::<Points>();
        Series { granularity: Grouping::Span(Timespan::from_seconds(seconds)), points }
    }

    fn pieces(document: Document) -> Vec<Bytes> {
        let mut pieces = Pieces::of(document);
        std::iter::from_fn(|| pieces.next_piece()).collect()
    }

    fn text(document: Document) -> String {
        String::from_utf8(pieces(document).concat()).unwrap()
    }

    #[test]
    fn series_lie_between_text() {
        let mut document = Document::default();
        document.object([("a", vec![series(60, 2), series(1, 1)]), ("b\"", Vec::new())], |document, list| {
            document.series(list);
        });
        document.text(b", ");
        document.list([1, 2], |document, item| document.value(&json!({"n": item})));
        assert_eq!(
            text(document),
            r#"{"a": [["1970-01-01T00:00:00+00:00", 60.0, 0.0], ["1970-01-01T00:01:00+00:00", 60.0, 1.0], ["1970-01-01T00:00:00+00:00", 1.0, 0.0]], "b\"": []}, [{"n": 1}, {"n": 2}]"#
        );
        assert_eq!(text(Document::of(Vec::new())), "[]");
        assert!(pieces(Document::default()).is_empty());
    }

    #[test]
    fn pieces_are_bounded_and_make_the_whole() {
        for points in [0, 1, 1_190, 1_200, 1_210, 5_000] {
            let mut document = Document::default();
            document.object([("x", 60), ("y", 1)], |document, seconds| {
                document.series(vec![series(seconds, points), series(3600, points)]);
            });
            let pieces = pieces(document);
            assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() < PIECE_BYTES + SLACK_BYTES));
            let value: Value = serde_json::from_slice(&pieces.concat()).unwrap();
            for (name, seconds) in [("x", 60.0), ("y", 1.0)] {
                let rows = value[name].as_array().unwrap();
                let half = usize::try_from(points).unwrap();
                assert_eq!(rows.len(), 2 * half);
                assert!(rows[..half].iter().all(|row| row[1] == json!(seconds)));
                assert!(rows.iter().enumerate().all(|(at, row)| row[2] == json!((at % half) as f64)));
            }
        }
    }

    #[tokio::test]
    async fn short_answers_tell_their_length_and_long_ones_arrive_whole() {
        let short = Document::of(vec![series(60, 3)]).answer();
        assert!(short.body().size_hint().exact().is_some());
        let long = Document::of(vec![series(60, 20_000)]).answer();
        assert!(long.body().size_hint().exact().is_none());
        let bytes = long.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(bytes, pieces(Document::of(vec![series(60, 20_000)])).concat());
        assert!(bytes.len() > 10 * PIECE_BYTES);
    }
}
