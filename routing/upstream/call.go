package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// ErrUnavailable is what Do answers with for an upstream that cannot be used.
var ErrUnavailable = errors.New("upstream cannot be used")

// Call is one request to an upstream.
type Call struct {
	// Format is the format of the body; the upstream must speak it.
	Format format.ID
	// Operation is what is asked.
	Operation format.Operation
	// Model is the upstream's name of the model, for formats that have it in the
	// path.
	Model string
	// Verb is what Gemini's path asks of the model, and what follows the path of
	// the other formats that have several addresses for one operation, such as
	// translations. Default: what follows from Operation and Stream.
	Verb string
	// Type is the content type of the body. Default: application/json.
	Type string
	// Body is the request's body. Every reader made from it is closed.
	Body *format.Body
	// Header holds the client's headers that are to be passed on, with canonical
	// names; only those, for nothing is taken out here but what the gateway sets
	// itself. Its values are shared, not copied. It may be nil.
	Header http.Header
	// Own holds headers that take the place of the upstream's of the same name, with
	// canonical names: see PlainHeaders. Its values are shared, not copied. It may be
	// nil.
	Own http.Header
	// Stream says that a stream of events is asked for.
	Stream bool
	// Credential is the id of the upstream's credential to use: see
	// ChooseCredential. Default: the first that is not empty.
	Credential string
	// Override is the client's own key, without a scheme such as Bearer, to be sent
	// in the place of the upstream's. Only an upstream that allows it takes one;
	// others refuse the call. Default: none.
	Override string
}

// Do sends the call and returns the upstream's answer, whatever its status, with
// the body still to be read and closed. Redirects are not followed. Time limits
// are the context's: the transport knows those of the connection only.
func (u *Upstream) Do(ctx context.Context, call *Call) (*http.Response, error) {
	r, err := u.request(ctx, call)
	if err != nil {
		return nil, err
	}
	return u.roundTrip(r)
}

// errSwitched says that a service switches to another protocol, for which nobody asks.
var errSwitched = errors.New("status 101: the service switches to another protocol")

// roundTrip sends a request. After a switch to another protocol the connection would be
// the caller's: a read from it ends neither with the context nor ever, maybe.
func (u *Upstream) roundTrip(r *http.Request) (*http.Response, error) {
	response, err := u.transport.RoundTrip(r)
	if err == nil && response.StatusCode == http.StatusSwitchingProtocols {
		return nil, errors.Join(errSwitched, response.Body.Close())
	}
	return response, err
}

// request builds the request by hand: no URL is parsed and no header value
// copied.
func (u *Upstream) request(ctx context.Context, call *Call) (*http.Request, error) {
	if reason := u.Unavailable(); reason != "" {
		return nil, fmt.Errorf("%w: upstream %q is %s", ErrUnavailable, u.name, reason)
	}
	e, ok := u.endpoints[call.Format]
	if !ok || !Serves(call.Format, call.Operation) {
		return nil, fmt.Errorf("upstream %q does not serve %s in the format %s", u.name, call.Operation, call.Format)
	}
	r := new(http.Request).WithContext(plainContext{ctx})
	r.Method, r.URL, r.Host = http.MethodPost, e.address(call), e.url.Host
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	r.Header = e.header(call)
	body, err := u.body(call)
	if err != nil {
		return nil, err
	}
	r.ContentLength = int64(body.Len())
	if err := u.authorise(ctx, r, call); err != nil {
		return nil, err
	}
	setBody(r, body) // last: from here on the transport closes its readers
	return r, nil
}

// smallBody is the size up to which copying a body is cheaper than a system call
// of its own, in bytes.
const smallBody = 16 << 10

// setBody gives the request its body, for the first try and for repeats.
//
// net/http sends the headers of a request on their own unless it knows that the
// body lies in memory, which it does of the standard library's readers only. So
// a small body is copied into one of these, and goes out in one write with the
// headers.
func setBody(r *http.Request, body *format.Body) {
	if body.Len() > smallBody {
		r.GetBody = func() (io.ReadCloser, error) { return body.NewReader(), nil }
		r.Body = body.NewReader()
		return
	}
	small := body.Bytes()
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(small)), nil }
	r.Body = io.NopCloser(bytes.NewReader(small))
}

// header makes the request's headers, without the credential.
func (e *endpoint) header(call *Call) http.Header {
	template := e.whole
	if call.Stream {
		template = e.stream
	}
	h := make(http.Header, len(template)+len(call.Header)+1)
	for name, values := range template {
		h[name] = values
	}
	if len(call.Header) > 0 {
		forward(h, call.Header)
	}
	for name, values := range call.Own {
		h[name] = values
	}
	if call.Type != "" {
		h["Content-Type"] = []string{call.Type}
	}
	return h
}

// plainContext hides from the transport what Caddy's reverse proxy leaves in the
// context of a request. Caddy's own transport would dial the address it finds
// there instead of ours, and would leave marks of its own that mislead a
// reverse_proxy which handles the same request later.
type plainContext struct{ context.Context }

// dialInfo is the key under which the reverse proxy keeps the address to dial
// (dialInfoCtxKey in hosts.go there).
const dialInfo caddy.CtxKey = "reverse_proxy.dial_info"

// Value implements context.Context.
func (c plainContext) Value(key any) any {
	if key == dialInfo || key == caddyhttp.VarsCtxKey {
		return nil
	}
	return c.Context.Value(key)
}
