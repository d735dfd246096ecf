// Package demo is an upstream without a network: a transport that answers by
// itself, deterministically, in every chat format that is registered. It makes
// the first run work without a key, and drills possible in production.
//
// It knows these models:
//
//	echo         answers with the last text, or tool results, of the user
//	story        tells a story of 150 words, streamed word by word
//	tools        calls the first tool; says what the tool answered
//	flaky        fails every second call with status 500
//	slow         waits before its first content
//	error-429    is rate limited: status 429 with Retry-After
//	error-500    fails: status 500
//	error-cut    breaks off in the middle of its answer
//	error-stall  begins its answer and falls silent
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

func init() {
	caddy.RegisterModule(new(Transport))
}

const (
	defaultTokensPerSecond = 50
	defaultDelay           = 5 * time.Second

	// created is the time of every answer: the same request gets the same bytes.
	created = 1767225600 // 2026-01-01
)

// Transport is the demo upstream. It is safe for concurrent use and starts no
// goroutine. The zero value answers without any pause; Provision sets the pauses.
type Transport struct {
	// How many words a second `story` streams. Default: 50.
	TokensPerSecond int `json:"tokens_per_second,omitempty"`
	// How long `slow` waits before its first content. Default: 5s.
	Delay caddy.Duration `json:"delay,omitempty"`

	pace  time.Duration // between two words of a story
	delay time.Duration // before the first content of slow
	calls atomic.Uint64 // of flaky
}

// CaddyModule returns the Caddy module information.
func (*Transport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.transport.ai_gateway_demo",
		New: func() caddy.Module { return new(Transport) },
	}
}

// Provision sets the defaults.
func (t *Transport) Provision(caddy.Context) error {
	if t.TokensPerSecond == 0 {
		t.TokensPerSecond = defaultTokensPerSecond
	}
	if t.Delay == 0 {
		t.Delay = caddy.Duration(defaultDelay)
	}
	t.pace = time.Second / time.Duration(t.TokensPerSecond)
	t.delay = time.Duration(t.Delay)
	return nil
}

// Validate refuses negative values.
func (t *Transport) Validate() error {
	if t.TokensPerSecond < 0 {
		return fmt.Errorf("tokens_per_second of the demo transport must be positive, not %d", t.TokensPerSecond)
	}
	if t.Delay < 0 {
		return fmt.Errorf("delay of the demo transport must be positive, not %s", time.Duration(t.Delay))
	}
	return nil
}

// RoundTrip implements http.RoundTripper. It reads and closes the request's body
// and fails only if that fails or the request's context ends.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	document, err := readBody(r)
	if err != nil {
		return nil, err
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if strings.HasSuffix(r.URL.Path, "/models") {
		return listModels(r), nil
	}
	codec, ep, ok := codecOf(r.URL.EscapedPath())
	if !ok {
		return notFound(r), nil
	}
	if r.Method != http.MethodPost {
		return refuse(r, codec, &chat.Error{Kind: chat.ErrMethod, Message: "the demo upstream takes only POST here"}), nil
	}
	var index tape.Tape
	if err := index.Parse(document); err != nil {
		return refuse(r, codec, chat.Invalid("", err.Error())), nil
	}
	request, err := codec.DecodeRequest(index.Root())
	if err != nil {
		return refuse(r, codec, asError(err)), nil
	}
	if ep.InPath() {
		request.Model, request.Stream = modelOf(&ep), ep.Stream
	}
	a := t.answer(request)
	if a.err != nil {
		return refuse(r, codec, a.err), nil
	}
	exchange := &chat.Exchange{
		Model:        request.Model,
		RequestID:    fingerprint(document),
		Created:      created,
		IncludeUsage: request.IncludeUsage,
		Request:      request,
	}
	if request.Stream {
		return stream(r, codec, exchange, a), nil
	}
	return plain(r, codec, exchange, a)
}

// codecOf returns the codec for the end of an escaped path, whatever stands
// before it.
func codecOf(path string) (format.Chat, format.Endpoint, bool) {
	for {
		if ep, ok := format.Match(path); ok && ep.Operation == format.OperationChat {
			codec, ok := format.ChatOf(ep.Format)
			return codec, ep, ok
		}
		next := strings.IndexByte(path[min(1, len(path)):], '/')
		if next < 0 {
			return nil, format.Endpoint{}, false
		}
		path = path[1+next:]
	}
}

// modelOf is the name of the model in a path.
func modelOf(ep *format.Endpoint) string {
	name, err := url.PathUnescape(ep.Model)
	if err != nil {
		return ep.Model
	}
	return name
}

// readBody reads and closes the request's body.
func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	defer r.Body.Close()
	document, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	return document, nil
}

// fingerprint is an id that is the same for the same request.
func fingerprint(document []byte) string {
	h := fnv.New64a()
	h.Write(document)
	return fmt.Sprintf("demo%016x", h.Sum64())
}

// asError makes a decoder's error one that can be encoded.
func asError(err error) *chat.Error {
	var e *chat.Error
	if errors.As(err, &e) {
		return e
	}
	return chat.Invalid("", err.Error())
}

// refuse is the answer that carries e.
func refuse(r *http.Request, codec format.Chat, e *chat.Error) *http.Response {
	status, body := codec.EncodeError(nil, e)
	response := respond(r, status, "application/json", body)
	if e.RetryAfter > 0 {
		response.Header.Set("Retry-After", strconv.Itoa(int(e.RetryAfter.Seconds())))
	}
	return response
}

// notFound is the answer to a path of no format.
func notFound(r *http.Request) *http.Response {
	body := []byte(`{"error":{"message":`)
	body = chat.AppendQuoted(body, "the demo upstream has nothing at "+r.URL.Path)
	body = append(body, `,"type":"invalid_request_error","param":null,"code":"not_found"}}`...)
	return respond(r, http.StatusNotFound, "application/json", body)
}

// plain is the whole answer in one document.
func plain(r *http.Request, codec format.Chat, x *chat.Exchange, a answer) (*http.Response, error) {
	if err := pause(r.Context(), nil, a.delay); err != nil {
		return nil, err
	}
	document, _ := codec.EncodeResponse(nil, a.response, x)
	response := respond(r, http.StatusOK, "application/json", document)
	if a.fault != nil {
		half := []step{{data: document[:len(document)/2]}, *a.fault}
		response.Body = newBody(r.Context(), half)
	}
	return response, nil
}

// respond is an answer whose whole body is at hand.
func respond(r *http.Request, status int, contentType string, body []byte) *http.Response {
	return &http.Response{
		Status:        strconv.Itoa(status) + " " + http.StatusText(status),
		StatusCode:    status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        http.Header{"Content-Type": {contentType}},
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
		Request:       r,
	}
}

// pause waits for d, or for the end of ctx or of closed. A negative d waits
// for these ends only.
func pause(ctx context.Context, closed <-chan struct{}, d time.Duration) error {
	if d == 0 {
		return nil
	}
	var elapsed <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		elapsed = timer.C
	}
	select {
	case <-elapsed:
		return nil
	case <-closed:
		return http.ErrBodyReadAfterClose
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Interface guards
var (
	_ caddy.Module          = (*Transport)(nil)
	_ caddy.Provisioner     = (*Transport)(nil)
	_ caddy.Validator       = (*Transport)(nil)
	_ caddyfile.Unmarshaler = (*Transport)(nil)
	_ http.RoundTripper     = (*Transport)(nil)
)
