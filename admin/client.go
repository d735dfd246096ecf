package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// maxAnswer is how much of an answer the command line reads, in bytes.
const maxAnswer = 64 << 20

// client asks the management API of a running server, for one run of a command.
// It is safe for concurrent use.
//
// It does what Caddy's own client does, which cannot be used: that one makes a text
// of every error, so that nobody could tell whether a request has reached the
// server, and its requests cannot be ended.
type client struct {
	// ctx ends all requests.
	ctx context.Context
	// address of Caddy's admin endpoint, in Caddy's notation.
	address string
	// pause before a request that found nobody is repeated: as long as a reload
	// takes to replace the endpoint.
	pause time.Duration
}

// request is what the client sends.
type request struct {
	method string
	// path below the API's root, with escaped names.
	path  string
	query url.Values
	// body is JSON unless the header says otherwise. Default: none.
	body   io.ReadSeeker
	header http.Header
	// again says that twice is the same as once, so that the request may be repeated
	// although it may have reached the server.
	again bool
}

// refusedError is an answer of the server that says no.
type refusedError struct {
	status int
	reason Error
	// hint is what to do about it. Default: none.
	hint string
}

// Error implements error.
func (e *refusedError) Error() string {
	switch {
	case e.reason.Message == "":
		return fmt.Sprintf("the server answered with HTTP %d%s", e.status, e.hint)
	case e.reason.Field != "":
		return e.reason.Field + ": " + e.reason.Message + e.hint
	default:
		return e.reason.Message + e.hint
	}
}

// unreachableError says that there was no answer.
type unreachableError struct {
	address string
	// doubtful says that a change may have been made all the same.
	doubtful bool
	err      error
}

// Error implements error.
func (e *unreachableError) Error() string {
	doubt := ""
	if e.doubtful {
		doubt = "; the server may have done what was asked: look before you repeat it"
	}
	return fmt.Sprintf("no answer from the admin endpoint %s; is Caddy running? (%v)%s", e.address, e.err, doubt)
}

// Unwrap returns what happened instead.
func (e *unreachableError) Unwrap() error { return e.err }

// get asks for a resource.
func (c *client) get(path string, query url.Values) ([]byte, error) {
	return c.ask(&request{method: http.MethodGet, path: path, query: query, again: true})
}

// post sends an action of which twice is the same as once.
func (c *client) post(path string, body any) ([]byte, error) {
	return c.send(&request{method: http.MethodPost, path: path, again: true}, body)
}

// send sends a request with a body as JSON.
func (c *client) send(r *request, body any) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("writing the request: %w", err)
	}
	r.body = bytes.NewReader(text)
	return c.ask(r)
}

// ask sends a request and returns the answer's body.
func (c *client) ask(r *request) ([]byte, error) {
	resp, err := c.open(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, &unreachableError{c.address, !r.again, err}
	}
	if len(answer) > maxAnswer {
		return nil, fmt.Errorf("the answer to %s %s is larger than %d MiB", r.method, r.path, maxAnswer>>20)
	}
	return answer, nil
}

// open sends a request and returns the answer, which the caller closes. The error
// is a *refusedError if the answer says no, an *unreachableError if there was none.
// A request that reached nobody is repeated once; one that may have reached the
// server only if twice is the same as once.
func (c *client) open(r *request) (*http.Response, error) {
	resp, err := c.once(r)
	lost, ok := errors.AsType[*unreachableError](err)
	if !ok || c.ctx.Err() != nil || !r.again && lost.doubtful {
		return resp, err
	}
	select {
	case <-c.ctx.Done():
		return nil, err
	case <-time.After(c.pause):
		return c.once(r)
	}
}

func (c *client) once(r *request) (*http.Response, error) {
	req, dial, err := c.request(r)
	if err != nil {
		return nil, err
	}
	// One connection for each request: there are few of them.
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true}
	// The API redirects nobody, and whoever does is somebody else.
	still := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := (&http.Client{Transport: transport, CheckRedirect: still}).Do(req)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // without the address of a Unix socket that is none
		}
		return nil, &unreachableError{c.address, !r.again && !neverSent(err), err}
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return nil, &unreachableError{c.address, false, err}
	}
	return nil, refusalIn(resp.StatusCode, body)
}

// neverSent says that there was no connection on which anything could be sent.
func neverSent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// dialer makes the connections of a transport.
type dialer = func(ctx context.Context, network, address string) (net.Conn, error)

// request makes the HTTP request, and what connects to the admin endpoint.
func (c *client) request(r *request) (*http.Request, dialer, error) {
	at, err := caddy.ParseNetworkAddress(c.address)
	local := at.IsUnixNetwork() || at.IsFdNetwork()
	if err != nil || at.PortRangeSize() > 1 || strings.Contains(c.address, "://") || !local && at.StartPort == 0 {
		return nil, nil, misused("%q is no address of an admin endpoint, such as localhost:2019 or unix//run/caddy.sock", c.address)
	}
	origin := "http://" + at.JoinHostPort(0)
	if at.IsUnixNetwork() || at.IsFdNetwork() {
		origin = "http://127.0.0.1"               // a host that browsers cannot make up
		at.Host, _, _ = strings.Cut(at.Host, "|") // the bits of the socket's mode
	}
	target := origin + base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	var body io.Reader
	size := int64(0)
	if r.body != nil {
		if size, err = rewound(r.body); err != nil {
			return nil, nil, fmt.Errorf("reading what is to be sent: %w", err)
		}
		body = io.NopCloser(r.body) // it may be needed again
	}
	req, err := http.NewRequestWithContext(c.ctx, r.method, target, body)
	if err != nil {
		return nil, nil, misused("asking the admin endpoint %s: %w", c.address, err)
	}
	req.ContentLength = size
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if !at.IsUnixNetwork() && !at.IsFdNetwork() {
		req.Header.Set("Origin", origin)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, at.Network, at.JoinHostPort(0))
	}
	return req, dial, nil
}

// rewound goes to the start of a body and tells its size.
func rewound(body io.ReadSeeker) (int64, error) {
	size, err := body.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	_, err = body.Seek(0, io.SeekStart)
	return size, err
}

// refusalIn finds the reason in an answer that says no.
func refusalIn(status int, body []byte) *refusedError {
	refused := &refusedError{status: status}
	var envelope struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &envelope) != nil {
		return refused // a page of somebody else
	}
	if json.Unmarshal(envelope.Error, &refused.reason) != nil && json.Unmarshal(envelope.Error, &refused.reason.Message) != nil {
		return refused // neither ours nor one of Caddy's, which are a text
	}
	refused.reason.Message, refused.reason.Field = printable(refused.reason.Message), printable(refused.reason.Field)
	return refused
}

// list asks for all pages of a list, and makes one of them. A list of one page is
// what the server has answered.
func (c *client) list(path string, query url.Values) ([]byte, error) {
	asked := url.Values{"page_size": {strconv.Itoa(maxPageSize)}}
	for name, values := range query {
		asked[name] = values
	}
	first, err := c.get(path, asked)
	if err != nil {
		return nil, err
	}
	var items []json.RawMessage
	next := first
	for number := 2; ; number++ {
		var page Page[json.RawMessage]
		if err := json.Unmarshal(next, &page); err != nil {
			return nil, fmt.Errorf("reading the list: %w", err)
		}
		items = append(items, page.Items...)
		if len(page.Items) == 0 || len(items) >= page.Total {
			break
		}
		asked.Set("page", strconv.Itoa(number))
		if next, err = c.get(path, asked); err != nil {
			return nil, err
		}
	}
	if len(asked["page"]) == 0 {
		return first, nil
	}
	return onePage(first, items)
}

// onePage puts other items into a page, whatever else is in it.
func onePage(page []byte, items []json.RawMessage) ([]byte, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(page, &members); err != nil {
		return nil, fmt.Errorf("reading the list: %w", err)
	}
	for name, value := range map[string]any{"items": items, "total": len(items), "page": 1, "page_size": len(items)} {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("writing the list: %w", err)
		}
		members[name] = text
	}
	text, err := json.Marshal(members)
	return append(text, '\n'), err
}

// segment escapes a name for a path. Dots alone would be taken for the way up.
func segment(name string) string {
	if name == "." || name == ".." {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return url.PathEscape(name)
}
