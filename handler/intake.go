package handler

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// read takes the whole body, up to limit bytes, and indexes it.
func (d *document) read(w http.ResponseWriter, r *http.Request, limit int64) error {
	if err := d.receive(w, r, limit); err != nil {
		return err
	}
	if err := d.index.Parse(d.data); err != nil {
		return chat.Invalid("", "the request body cannot be read: "+err.Error())
	}
	return nil
}

// receive takes the whole body, up to limit bytes.
func (d *document) receive(w http.ResponseWriter, r *http.Request, limit int64) error {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return &chat.Error{Kind: chat.ErrUnsupportedMedia, Message: "compressed request bodies are not accepted; send the body without Content-Encoding"}
	}
	if r.ContentLength > limit {
		return tooLarge(limit)
	}
	body := r.Body
	if r.ContentLength < 0 {
		body = http.MaxBytesReader(w, body, limit)
	}
	if err := d.fill(body, r.ContentLength); err != nil {
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
	if ctx.Err() != nil {
		return &chat.Error{Kind: chat.ErrClientTimeout, Message: "the client has left"}
	}
	return chat.Invalid("", "the request body could not be read to its end")
}
