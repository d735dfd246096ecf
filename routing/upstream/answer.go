package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// PlainBody is the answer's body without compression. Upstreams are asked for
// none, but some compress all the same.
func PlainBody(r *http.Response) (io.Reader, error) {
	switch encoding := strings.ToLower(r.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
		return r.Body, nil
	case "gzip", "x-gzip":
		r.ContentLength = -1
		return newUnpacker(r.Body)
	default:
		return nil, chat.BadAnswer("the upstream's answer has the encoding " + encoding)
	}
}

// IsEventStream says whether the answer is a stream of events, and returns the
// body to be read from then on. Servers that label a stream as something else are
// recognised by its first byte.
func IsEventStream(r *http.Response, body io.Reader) (bool, io.Reader, error) {
	mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	mediaType = strings.TrimSpace(mediaType)
	if strings.EqualFold(mediaType, "text/event-stream") {
		return true, body, nil
	}
	if strings.EqualFold(mediaType, "application/json") && r.ContentLength > 0 {
		return false, body, nil
	}
	peek := bufio.NewReaderSize(body, 16)
	for n := 1; n <= 16; n++ {
		start, err := peek.Peek(n)
		if err != nil && err != io.EOF {
			return false, nil, err
		}
		if start = bytes.TrimLeft(start, " \t\r\n\xef\xbb\xbf"); len(start) > 0 {
			return bytes.IndexByte([]byte(":deir"), start[0]) >= 0, peek, nil
		}
		if err == io.EOF {
			break
		}
	}
	return false, peek, nil
}

// NotHTTP says that what came back is not HTTP, is to be no longer, or has a header
// without an end: err is the error of Do. net/http has no types for these errors. An alert of TLS,
// of a server that expects a handshake, is no answer.
func NotHTTP(err error) bool {
	const alert = `"\x15\x03`
	text := err.Error()
	if strings.Contains(text, alert) {
		return false
	}
	return errors.Is(err, errSwitched) || strings.Contains(text, "malformed HTTP") || strings.Contains(text, "malformed MIME header") ||
		strings.Contains(text, "server response headers exceeded") || strings.Contains(text, "too many 1xx informational responses")
}

// OwnFault says that a call failed at the gateway's own side: its process may open
// no more files, or its configuration forbids the address or gives a credential that
// the request has no place for. err may be nil.
func OwnFault(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) ||
		errors.Is(err, ErrAddressRefused) || errors.Is(err, ErrNoPlace)
}
