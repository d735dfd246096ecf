package handler

import (
	"math/rand/v2"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// The pauses before the same source is asked again.
const (
	// firstPause is the longest pause before the repeat, unless the upstream has
	// asked for more.
	firstPause = 100 * time.Millisecond
	// longestPause is the longest wish of an upstream that is obeyed: after a longer
	// one another source is better, or the end.
	longestPause = 2 * time.Second
)

// tryAll tries the plan's sources in order. It is false if none of them has
// answered the client.
func (x *exchange) tryAll() bool {
	x.plan.Budget().Earn()
	for x.attempts < x.h.maxAttempts() && x.timeLeft() {
		admission, ok := x.next()
		if !ok {
			break
		}
		out := x.ask(admission)
		if out.class == routing.ClassUnsupported {
			x.refuse(out)
			continue
		}
		x.last = out
		if out.class == routing.ClassOK || x.committed || !x.movesOn(&out) {
			break
		}
	}
	return x.last.class == routing.ClassOK && x.attempts > 0 || x.committed
}

// next takes leave for the next attempt: at the last source with another credential,
// at another source, or once more at the last one if there is no other. If nothing has been asked and nothing can be, it
// notes why.
func (x *exchange) next() (*routing.Admission, bool) {
	now := time.Now()
	last := x.attempts+1 == x.h.maxAttempts() || x.envelope.trace
	var ok bool
	if x.admission, ok = x.plan.Admit(now, last); ok {
		return x.paid(&x.admission, now)
	}
	if x.attempts > 0 {
		return x.repeat()
	}
	if x.h.OnAllOpen == onAllOpenBest {
		if x.admission, ok = x.plan.LastResort(now); ok {
			return &x.admission, true
		}
	}
	if x.last.err == nil { // no source was passed over because of its format
		x.last = barred(x.plan.NoSource(now))
	}
	return nil, false
}

// paid lets a move to another source pass if it is the request's first and to a
// healthy one, or if the model's budget pays for it: an outage must not multiply
// the attempts. A move to another credential is judged likewise, but counted by itself:
// where all credentials of a source are dead, the move to the next source stays free.
func (x *exchange) paid(a *routing.Admission, now time.Time) (*routing.Admission, bool) {
	if x.attempts == 0 {
		return a, true
	}
	moves := &x.moves
	if a.Candidate == x.source {
		moves = &x.keyMoves
	}
	*moves++
	if (*moves > 1 || a.Probe()) && !x.plan.Budget().Spend() {
		a.Cancel(now)
		return nil, false
	}
	return a, true
}

// repeat takes leave to ask the last source once more, after a pause. It does so
// for failures of a moment only, and once for each request.
func (x *exchange) repeat() (*routing.Admission, bool) {
	switch x.last.class {
	case routing.ClassConnect, routing.ClassServer, routing.ClassTimeout, routing.ClassConflict:
	default:
		return nil, false
	}
	if x.repeated || x.source.Upstream.MaxRetries() == 0 || x.last.wait > longestPause {
		return nil, false
	}
	if !x.plan.Budget().Spend() || !x.rest(max(x.last.wait, rand.N(firstPause))) {
		return nil, false
	}
	var ok bool
	x.admission, ok = x.plan.Again(x.source, time.Now())
	x.repeated = ok
	return &x.admission, ok
}

// rest waits; it is false if the client leaves or if the request's time would not
// suffice.
func (x *exchange) rest(d time.Duration) bool {
	if total := x.h.total(); !x.envelope.stream && total > 0 && time.Since(x.began)+d > total {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-x.r.Context().Done():
		return false
	}
}

// timeLeft says whether the request's time suffices to connect once more.
func (x *exchange) timeLeft() bool {
	total := x.h.total()
	if x.attempts == 0 || x.envelope.stream || total <= 0 {
		return true
	}
	return time.Since(x.began)+x.source.Upstream.ConnectLimit() <= total
}

// ask makes one attempt, and a second one without signatures if that is what the
// upstream has refused.
func (x *exchange) ask(admission *routing.Admission) outcome {
	before := x.source
	x.attempts++
	x.source = admission.Candidate
	out := x.try(admission)
	if out.class == routing.ClassUnsupported {
		x.attempts--
		x.source = before
	}
	if x.attempts == x.h.maxAttempts() || !x.losesSignatures(&out) {
		return out
	}
	again, ok := x.plan.Again(x.source, time.Now())
	if !ok {
		return out
	}
	x.unsigned = true
	x.attempts++
	if second := x.try(&again); second.class != routing.ClassUnsupported {
		return second
	}
	x.attempts--
	return out
}

// try asks one source and relays its answer if it has one.
func (x *exchange) try(admission *routing.Admission) outcome {
	defer func() { admission.Cancel(time.Now()) }() // does nothing but after a panic
	a, err := x.newAttempt(admission)
	if err != nil {
		return refused(err)
	}
	defer a.close()
	out := a.run()
	a.latency = time.Since(a.began)
	if out.class == routing.ClassOK {
		out = a.relay()
	}
	a.tellCircuits(&out)
	if out.blamesKey() {
		x.plan.AnotherKey(a.source, admission.Credential)
	}
	if out.class != routing.ClassOK && out.class != routing.ClassUnsupported {
		x.failures = append(x.failures, out.class.String())
		a.log(out)
	}
	return out
}

// tellCircuits ends the attempt for the circuits. What was not sent, or failed for
// a reason of the gateway's own, is none of their business; nor is a server that
// does not count tokens, as many do not.
func (a *attempt) tellCircuits(out *outcome) {
	now := time.Now()
	unknown := out.class == routing.ClassMissing && a.x.endpoint.Operation == format.OperationCountTokens
	if out.class == routing.ClassUnsupported || unknown || upstream.OwnFault(out.detail) {
		a.admission.Cancel(now)
		return
	}
	a.admission.Done(now, routing.Outcome{
		Class: out.class, Status: out.status, RetryAfter: out.wait,
		Latency: a.latency, Stream: a.x.envelope.stream,
	})
}

// blamesKey says that the attempt has failed because of its credential alone, so that
// another of the same upstream may serve the request. A rate limit is one of the
// credential wherever an upstream has several.
func (o *outcome) blamesKey() bool {
	switch o.class {
	case routing.ClassCredential, routing.ClassExhausted, routing.ClassThrottled:
		return !upstream.OwnFault(o.detail) // which is one of the configuration
	default:
		return false
	}
}

// movesOn says whether the next source may be tried. A request that leaves a
// trace is sent on only if the last upstream has certainly not begun it. One that is
// too long goes to sources with a larger context window only, as far as windows are
// known.
func (x *exchange) movesOn(out *outcome) bool {
	switch {
	case x.envelope.trace && !out.harmless():
		return false
	case out.tooLong():
		return x.plan.Larger(x.source)
	default:
		return out.class.Failover()
	}
}

// barred is the outcome of a request for which no source can be asked now.
func barred(e *routing.NoSourceError) outcome {
	told := &chat.Error{
		Kind: chat.ErrUnavailable, Code: "no_upstream_available", RetryAfter: e.RetryAfter,
		Message: "no source of the model can be asked now; try again later",
	}
	if e.Throttled {
		told.Kind, told.Code = chat.ErrRateLimit, "rate_limit_exceeded"
		told.Message = "all sources of the model are rate limited; try again later"
	}
	return outcome{class: routing.ClassRefused, detail: e, err: told}
}
