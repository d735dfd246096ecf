package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// Checker makes the checks of one upstream, one at a time.
type Checker struct {
	// OnChange is called when the upstream has become unhealthy, and when it has
	// become healthy again, on the goroutine of Run. It is set before Run; nil is
	// fine.
	OnChange func(HealthView)

	u *Upstream
}

// Checker returns what makes the upstream's checks; false if there are none to be
// made, because none are configured or the upstream cannot be used.
func (u *Upstream) Checker() (*Checker, bool) {
	if u.health == nil || u.Unavailable() != "" {
		return nil, false
	}
	return &Checker{u: u}, true
}

// Run checks until the context ends. The first check is made soon, the others an
// interval after the end of the one before; both are varied, so that the
// upstreams of many gateways are not all asked at once. A check that the end of
// the context cuts off is not counted.
func (c *Checker) Run(ctx context.Context) {
	interval := c.u.health.interval
	timer := time.NewTimer(rand.N(min(interval/10, firstCheck)))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		c.check(ctx)
		timer.Reset(interval*9/10 + rand.N(interval/5))
	}
}

// firstCheck is within what time the first check is made, however long the interval
// is: until then an upstream that is down counts as healthy.
const firstCheck = 5 * time.Second

// errNoVerdict is the end of a check that tells nothing of the upstream's health.
var errNoVerdict = errors.New("throttled")

// check makes one check and takes in how it ended.
func (c *Checker) check(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, c.u.health.timeout)
	defer cancel()
	err := c.ask(limited)
	if ctx.Err() != nil || errors.Is(err, errNoVerdict) {
		return
	}
	problem := ""
	if err != nil {
		problem = c.u.describe(err)
	}
	view, changed := c.u.state.record(time.Now(), problem, c.u.health)
	if changed && c.OnChange != nil {
		c.OnChange(view)
	}
}

// refusedError is an answer that is about the credential.
type refusedError struct{ status int }

// Error implements error.
func (e refusedError) Error() string { return fmt.Sprintf("status %d", e.status) }

// ask calls the upstream, with one credential after the other until one is not
// refused.
func (c *Checker) ask(ctx context.Context) error {
	err := error(nil)
	asked := false
	for i := range c.u.pool {
		entry := &c.u.pool[i]
		if entry.Missing != "" {
			continue
		}
		asked = true
		err = c.askWith(ctx, entry.ID)
		if !errors.As(err, new(refusedError)) {
			return err
		}
	}
	if !asked {
		return c.askWith(ctx, "")
	}
	return err
}

// askWith calls the upstream with a credential.
func (c *Checker) askWith(ctx context.Context, credential string) error {
	response, err := c.call(ctx, credential)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	// What is left of a longer answer costs the connection, which is cheaper.
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, checkedBody)); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	status := response.StatusCode
	switch {
	case status >= c.u.health.low && status <= c.u.health.high:
		return nil
	case status == http.StatusTooManyRequests:
		return errNoVerdict
	case status == http.StatusUnauthorized, status == http.StatusPaymentRequired, status == http.StatusForbidden:
		return refusedError{status}
	default:
		return fmt.Errorf("status %d", status)
	}
}

// checkedBody is how much of an answer is read, in bytes.
const checkedBody = 1 << 20

// call sends the request of a check.
func (c *Checker) call(ctx context.Context, credential string) (*http.Response, error) {
	h := c.u.health
	if h.probe != "" {
		body := new(format.Body)
		body.Raw(h.question)
		return c.u.Do(ctx, &Call{
			Format: h.probe, Operation: format.OperationChat, Model: h.model,
			Body: body, Header: h.header, Credential: credential,
		})
	}
	return c.u.get(ctx, h.url, h.header, credential)
}

// get sends a GET request with a credential, "" for the first that can be used.
func (u *Upstream) get(ctx context.Context, at *url.URL, header http.Header, credential string) (*http.Response, error) {
	r := (&http.Request{
		Method: http.MethodGet, URL: at, Host: at.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header.Clone(),
	}).WithContext(plainContext{ctx})
	if err := u.authorise(ctx, r, &Call{Credential: credential}); err != nil {
		return nil, err
	}
	return u.roundTrip(r)
}

// describedError is how long the text of an error is at most, in bytes.
const describedError = 255

// describe tells what went wrong with a check, without secrets and addresses.
func (u *Upstream) describe(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("no answer within %s", u.health.timeout)
	}
	return u.discreet(err)
}

// discreet is the text of an error without secrets and addresses.
func (u *Upstream) discreet(err error) string {
	text := err.Error()
	if name, ok := errors.AsType[*net.DNSError](err); ok {
		text = "looking up the name: " + name.Err
	} else if op, ok := errors.AsType[*net.OpError](err); ok {
		text = op.Op + ": " + op.Err.Error()
	}
	for _, e := range u.endpoints {
		text = strings.ReplaceAll(text, e.url.Host, "[host]")
		text = strings.ReplaceAll(text, e.url.Hostname(), "[host]")
	}
	return format.Bounded(u.Scrub(text), describedError)
}
