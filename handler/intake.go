package handler

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// readBody takes the request's whole body, and indexes it.
func (x *exchange) readBody() error {
	if err := x.receiveBody(); err != nil {
		return err
	}
	return x.document.parse()
}

// receiveBody takes the request's whole body.
func (x *exchange) receiveBody() error {
	body := x.paced()
	err := x.document.receive(x.w, x.r, body, x.h.maxBody())
	body.release(err)
	x.bodyRead = err == nil
	return err
}

// endAfterChunks closes the connection after a body in chunks. Such a request may have
// had a Content-Length, too: the server goes by the chunks and keeps nothing of it, but
// a proxy in front of it may have gone by the length, and what follows the chunks must
// not be taken for a request that the proxy has not seen.
func (x *exchange) endAfterChunks() {
	if x.r.ProtoMajor == 1 && len(x.r.TransferEncoding) > 0 {
		x.w.Header().Set("Connection", "close")
	}
}

// parse indexes the bytes.
func (d *document) parse() error {
	if err := d.index.Parse(d.data); err != nil {
		return chat.Invalid("", "the request body cannot be read: "+err.Error())
	}
	return nil
}

// receive takes the request's whole body, up to limit bytes, from a reader of it.
func (d *document) receive(w http.ResponseWriter, r *http.Request, from io.Reader, limit int64) error {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return &chat.Error{Kind: chat.ErrUnsupportedMedia, Message: "compressed request bodies are not accepted; send the body without Content-Encoding"}
	}
	if r.ContentLength > limit {
		return tooLarge(limit)
	}
	if r.ContentLength < 0 {
		from = http.MaxBytesReader(w, io.NopCloser(from), limit)
	}
	if err := d.fill(from, r.ContentLength); err != nil {
		return bodyFailure(r.Context(), err, limit)
	}
	if len(d.data) == 0 {
		return chat.Invalid("", "the request has no body; send a JSON object")
	}
	return nil
}

// tooLarge is the error for a body above the limit.
func tooLarge(limit int64) *chat.Error {
	return &chat.Error{Kind: chat.ErrTooLarge, Message: "the request body is larger than the limit of " + humanize.IBytes(uint64(limit))}
}

// bodyFailure makes an error for the client of a failed read of its body.
func bodyFailure(ctx context.Context, err error, limit int64) *chat.Error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge(limit)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &chat.Error{Kind: chat.ErrClientTimeout, Status: http.StatusRequestTimeout, Message: "the request body did not arrive in time"}
	}
	if errors.Is(err, errExiting) {
		return exitError()
	}
	if ctx.Err() != nil {
		return &chat.Error{Kind: chat.ErrClientTimeout, Message: "the client has left"}
	}
	return chat.Invalid("", "the request body could not be read to its end")
}

// isLate says that a request failed because its body came too slowly.
func isLate(err error) bool {
	e, ok := errors.AsType[*chat.Error](err)
	return ok && e.Status == http.StatusRequestTimeout
}
