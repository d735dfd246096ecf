package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// maxAnswer is how much of an answer the command line reads, in bytes.
const maxAnswer = 16 << 20

// client asks the management API of a running server.
type client struct {
	// address of Caddy's admin endpoint, in Caddy's notation.
	address string
	// pause before a request that found nobody is repeated: as long as a reload
	// takes to replace the endpoint.
	pause time.Duration
}

// refusedError is an answer of the server that says no.
type refusedError struct {
	status string
	reason Error
}

// Error implements error.
func (e *refusedError) Error() string {
	switch {
	case e.reason.Message == "":
		return "the server answered with " + e.status
	case e.reason.Field != "":
		return e.reason.Field + ": " + e.reason.Message
	default:
		return e.reason.Message
	}
}

// unreachableError says that there was no answer.
type unreachableError struct {
	address string
	err     error
}

// Error implements error.
func (e *unreachableError) Error() string {
	return fmt.Sprintf("no answer from the admin endpoint %s; is Caddy running? (%v)", e.address, e.err)
}

// Unwrap returns what happened instead.
func (e *unreachableError) Unwrap() error { return e.err }

// get asks for a resource.
func (c *client) get(path string) ([]byte, error) { return c.ask(http.MethodGet, path, nil) }

// post sends an action.
func (c *client) post(path string, body any) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("writing the request: %w", err)
	}
	return c.ask(http.MethodPost, path, text)
}

// ask sends a request and returns the answer's body. The error is a *refusedError
// if the answer says no, an *unreachableError if there was none. A request that
// reached nobody is repeated once: all actions may be, for twice is the same as
// once.
func (c *client) ask(method, path string, body []byte) ([]byte, error) {
	answer, err := c.once(method, path, body)
	if _, alone := errors.AsType[*unreachableError](err); alone {
		time.Sleep(c.pause)
		return c.once(method, path, body)
	}
	return answer, err
}

func (c *client) once(method, path string, body []byte) ([]byte, error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	resp, err := caddycmd.AdminAPIRequest(c.address, method, base+path, nil, reader)
	if err != nil {
		return nil, c.explained(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, &unreachableError{c.address, err}
	}
	return answer, nil
}

// explained finds the server's answer in an error of Caddy's client, which hands
// it over as text.
func (c *client) explained(err error) error {
	text, answered := strings.CutPrefix(err.Error(), "caddy responded with error: ")
	switch {
	case strings.HasPrefix(err.Error(), "performing request: "):
		return &unreachableError{c.address, err}
	case !answered:
		return misused("asking the admin endpoint %s: %w", c.address, err)
	}
	status, body, _ := strings.Cut(text, ": ")
	refused := &refusedError{status: status}
	var envelope struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal([]byte(body), &envelope) != nil {
		return refused // a page of somebody else
	}
	if json.Unmarshal(envelope.Error, &refused.reason) != nil && json.Unmarshal(envelope.Error, &refused.reason.Message) != nil {
		return refused // neither ours nor one of Caddy's, which are a text
	}
	refused.reason.Message = printable(refused.reason.Message)
	return refused
}

// segment escapes a name for a path. Dots alone would be taken for the way up.
func segment(name string) string {
	if name == "." || name == ".." {
		return strings.ReplaceAll(name, ".", "%2E")
	}
	return url.PathEscape(name)
}
