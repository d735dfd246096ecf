package routing

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Class says how an attempt ended. Every attempt has exactly one.
type Class uint8

const (
	// ClassOK is a complete answer.
	ClassOK Class = iota
	// ClassConnect: no connection, or it broke before any byte of an answer.
	ClassConnect
	// ClassTimeout: no answer, or no content, within its limit.
	ClassTimeout
	// ClassServer: a status of 500 and above.
	ClassServer
	// ClassBadAnswer: a success that is none.
	ClassBadAnswer
	// ClassBrokenStream: a stream that ended without its end mark.
	ClassBrokenStream
	// ClassThrottled: too many requests for now.
	ClassThrottled
	// ClassExhausted: no money or quota left.
	ClassExhausted
	// ClassCredential: the upstream does not take our credential.
	ClassCredential
	// ClassMissing: the upstream does not know the model or the path.
	ClassMissing
	// ClassClientFault: the request itself is at fault.
	ClassClientFault
	// ClassUnsupported: the request cannot be said in the upstream's format. It was
	// not sent.
	ClassUnsupported
	// ClassConflict: a state of the moment forbids the request.
	ClassConflict
	// ClassAbandoned: the client has left.
	ClassAbandoned
	// ClassRefused: the gateway itself did not send the request, because of a
	// circuit, a throttled upstream or a limit.
	ClassRefused
)

var classNames = [...]string{
	ClassOK:           "ok",
	ClassConnect:      "connect",
	ClassTimeout:      "timeout",
	ClassServer:       "server",
	ClassBadAnswer:    "bad_answer",
	ClassBrokenStream: "broken_stream",
	ClassThrottled:    "throttled",
	ClassExhausted:    "exhausted",
	ClassCredential:   "credential",
	ClassMissing:      "missing",
	ClassClientFault:  "client_fault",
	ClassUnsupported:  "unsupported",
	ClassConflict:     "conflict",
	ClassAbandoned:    "abandoned",
	ClassRefused:      "refused",
}

// String returns the name of the class as logs and metrics show it.
func (c Class) String() string {
	if int(c) >= len(classNames) {
		return fmt.Sprintf("class(%d)", uint8(c))
	}
	return classNames[c]
}

// MarshalText implements encoding.TextMarshaler. A class without a name is an
// error.
func (c Class) MarshalText() ([]byte, error) { return marshalName(classNames[:], int(c), "class") }

// UnmarshalText implements encoding.TextUnmarshaler. An unknown name is an error.
func (c *Class) UnmarshalText(text []byte) error {
	i, err := unmarshalName(classNames[:], text, "class")
	if err == nil {
		*c = Class(i)
	}
	return err
}

// Failover says whether another source may be asked after an attempt of this
// class, as long as the client has seen nothing.
func (c Class) Failover() bool {
	return c != ClassOK && c != ClassClientFault && c != ClassAbandoned
}

// Final says that repeating the same request cannot help the client.
func (c Class) Final() bool {
	switch c {
	case ClassClientFault, ClassUnsupported, ClassExhausted, ClassCredential, ClassMissing:
		return true
	default:
		return false
	}
}

// Outcome is what circuits are told of an attempt.
type Outcome struct {
	// Class is how the attempt ended.
	Class Class
	// Status is the upstream's status; 0 if there was no answer.
	Status int
	// RetryAfter is how long the upstream asked to be left alone; 0 if it did not.
	RetryAfter time.Duration
	// Latency is the time to the answer, for a stream to its first content, for an
	// attempt that came to neither to its end.
	Latency time.Duration
	// Stream says that the client was sent a stream.
	Stream bool
	// Throttles is the scope in which ClassThrottled bars the upstream for a while:
	// ScopeCredential for an upstream with several credentials, each of which has a
	// rate of its own. Default: ScopeUpstreamModel.
	Throttles Scope
}

// verdict is what an outcome means to one circuit.
type verdict uint8

const (
	// neutral outcomes say nothing about what the circuit guards.
	neutral verdict = iota
	success
	failure
)

// judge says what an outcome means in a scope. Escalated says that the circuit is
// an upstream's that opened because of its upstream models: their failures then
// count there too.
func (o *Outcome) judge(s Scope, escalated bool) verdict {
	switch s {
	case ScopeUpstreamModel:
		return o.judgeModel()
	case ScopeCredential:
		return o.judgeCredential()
	case ScopeUpstream:
		return o.judgeUpstream(escalated)
	default:
		return neutral
	}
}

// judgeModel: what the upstream did with the request is about its model.
func (o *Outcome) judgeModel() verdict {
	switch o.Class {
	case ClassOK:
		return success
	case ClassTimeout, ClassServer, ClassBadAnswer, ClassBrokenStream, ClassMissing:
		return failure
	case ClassConflict:
		if o.Status == http.StatusRequestTimeout {
			return failure
		}
	}
	return neutral
}

// judgeCredential: only an answer in full proves that the credential is taken.
func (o *Outcome) judgeCredential() verdict {
	switch o.Class {
	case ClassOK:
		return success
	case ClassExhausted, ClassCredential:
		return failure
	}
	return neutral
}

// judgeUpstream: an upstream that answers can be reached, whatever it answers,
// except that what the client did wrong never counts anywhere.
func (o *Outcome) judgeUpstream(escalated bool) verdict {
	if o.Class == ClassConnect {
		return failure
	}
	if escalated && o.judgeModel() == failure {
		return failure
	}
	switch o.Class {
	case ClassOK, ClassServer, ClassBadAnswer, ClassBrokenStream, ClassExhausted, ClassCredential, ClassMissing:
		return success
	}
	return neutral
}

// marshalName finds the name of a value for its text form.
func marshalName(names []string, i int, what string) ([]byte, error) {
	if i >= len(names) {
		return nil, fmt.Errorf("unknown %s %d", what, i)
	}
	return []byte(names[i]), nil
}

// unmarshalName finds the value of a name.
func unmarshalName(names []string, text []byte, what string) (int, error) {
	i := slices.Index(names, string(text))
	if i < 0 {
		return 0, fmt.Errorf("unknown %s %.40q", what, text)
	}
	return i, nil
}
