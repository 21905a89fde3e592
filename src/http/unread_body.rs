//! The end of a connection whose request body nobody read to its end.
//!
//! A body with a length is cut off by the HTTP layer in a second. A chunked one that is dropped would be read
//! on and thrown away for as long as the client likes to send it, or to be silent; only while somebody holds
//! it does the HTTP layer close the connection. So the connection holds it, and both end together.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::HttpMessage as _;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::TRANSFER_ENCODING;
use actix_web::web::Bytes;
use futures_util::Stream;

use super::connection::{Watched, close_after};

/// A chunked body that may stay unread.
pub(super) struct ChunkedBody {
    payload: Rc<RefCell<Payload>>,
    is_read: Rc<Cell<bool>>,
}

impl ChunkedBody {
    /// Takes part in the body of a request, if it is chunked. The request reads it as before.
    pub(super) fn of(request: &mut ServiceRequest) -> Option<Self> {
        request.headers().get(TRANSFER_ENCODING)?;
        let body = Self { payload: Rc::new(RefCell::new(request.take_payload())), is_read: Rc::default() };
        let reader = Reader { payload: body.payload.clone(), is_read: body.is_read.clone() };
        request.set_payload(Payload::Stream { payload: Box::pin(reader) });
        Some(body)
    }

    /// Ends the connection after the answer, unless the body was read to its end.
    pub(super) fn close_if_unread(self, response: &mut ServiceResponse) {
        if self.is_read.get() {
            return;
        }
        close_after(response);
        if let Some(connection) = response.request().conn_data::<Watched>() {
            connection.hold(self.payload);
        }
    }
}

struct Reader {
    payload: Rc<RefCell<Payload>>,
    is_read: Rc<Cell<bool>>,
}

impl Stream for Reader {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let chunk = Pin::new(&mut *self.payload.borrow_mut()).poll_next(context);
        if matches!(chunk, Poll::Ready(None)) {
            self.is_read.set(true);
        }
        chunk
    }
}
