package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
)

// ListProblem is why a list of models could not be had.
type ListProblem string

// The problems.
const (
	// ListUnavailable: the upstream is not configured, or nobody knows where its list
	// is. Nothing was sent.
	ListUnavailable ListProblem = "unavailable"
	// ListUnauthorised: the service does not take the credential, or wants one.
	ListUnauthorised ListProblem = "unauthorised"
	// ListNotFound: the service has no such list.
	ListNotFound ListProblem = "not_found"
	// ListThrottled: the service wants to be asked later.
	ListThrottled ListProblem = "throttled"
	// ListTimeout: the answer was not there, or not whole, in time.
	ListTimeout ListProblem = "timeout"
	// ListUnreachable: no connection could be made, or it broke.
	ListUnreachable ListProblem = "unreachable"
	// ListNotAList: what was answered is no list of models.
	ListNotAList ListProblem = "not_a_list"
	// ListTooLarge: the list is larger than a list can be.
	ListTooLarge ListProblem = "too_large"
	// ListFailed: the service answered with another status that is no success.
	ListFailed ListProblem = "failed"
)

// ListError says why a list of models could not be had. It holds no secret.
type ListError struct {
	// Problem is for programs.
	Problem ListProblem
	// Endpoint is the kind of list that was asked for, as in Listing; "" if none was.
	Endpoint string
	// Status is the status of the answer; 0 without one.
	Status int
	// Text says what went wrong, without endpoint and status.
	Text string

	// cause is ErrUnavailable, ErrAddressRefused, context.DeadlineExceeded, or nil:
	// nothing that has a text of its own to tell.
	cause error
	// elsewhere says that the service may list its models at another place.
	elsewhere bool
}

// Error implements error.
func (e *ListError) Error() string {
	var b strings.Builder
	if e.Endpoint != "" {
		b.WriteString(e.Endpoint + ": ")
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, "status %d: ", e.Status)
	}
	b.WriteString(e.Text)
	return b.String()
}

// Unwrap returns the cause, if it is one that callers know.
func (e *ListError) Unwrap() error { return e.cause }

// What can be wrong with an answer.
var (
	errTooLarge = errors.New("the list is too large")
	errEndless  = errors.New("the pages of the list lead in a circle")
)

// judge looks at the status of an answer; nil if there is a list to be read.
func (l *modelList) judge(r *http.Response) *ListError {
	e := &ListError{Problem: ListFailed, Endpoint: l.endpoint, Status: r.StatusCode}
	switch status := r.StatusCode; {
	case status >= 200 && status <= 299:
		return nil
	case status >= 300 && status <= 399:
		e.Problem, e.Text = ListNotAList, "the service redirects, which is not followed"
	case status == http.StatusUnauthorized, status == http.StatusPaymentRequired, status == http.StatusForbidden:
		e.Problem, e.Text = ListUnauthorised, "the service does not take the credential"
	case status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status == http.StatusGone, status == http.StatusNotImplemented:
		e.Problem, e.Text, e.elsewhere = ListNotFound, "the service has no such list", true
	case status == http.StatusBadRequest:
		e.Text, e.elsewhere = "the service refuses the request", true
	case status == http.StatusTooManyRequests:
		e.Problem, e.Text = ListThrottled, "the service wants to be asked later"
	default:
		e.Text = "the service failed"
	}
	return e
}

// refused makes the error of an answer that is no list, or too large for one.
func (u *Upstream) refused(l *modelList, status int, err error) *ListError {
	e := &ListError{Problem: ListNotAList, Endpoint: l.endpoint, Status: status, Text: u.discreet(err)}
	switch {
	case errors.Is(err, errTooLarge):
		e.Problem = ListTooLarge
	case !errors.Is(err, errEndless):
		e.elsewhere = true
	}
	return e
}

// unreached makes the error of a call that has no answer, or half of one.
func (u *Upstream) unreached(ctx context.Context, l *modelList, status int, err error) *ListError {
	e := &ListError{Problem: ListUnreachable, Endpoint: l.endpoint, Status: status, Text: u.discreet(err)}
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case ctx.Err() != nil:
		e.Problem, e.Text, e.cause = ListTimeout, "no whole list in time", context.DeadlineExceeded
	case ok && timeout.Timeout():
		e.Problem, e.cause = ListTimeout, context.DeadlineExceeded
	case errors.Is(err, ErrUnavailable):
		e.Problem, e.cause = ListUnavailable, ErrUnavailable
	case errors.Is(err, ErrAddressRefused):
		e.cause = ErrAddressRefused
	case NotHTTP(err):
		e.Problem = ListNotAList
	case errors.Is(err, errBomb):
		e.Problem = ListTooLarge
	}
	return e
}
