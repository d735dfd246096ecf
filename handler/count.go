package handler

import (
	"fmt"
	"io"
	"net/http"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// The values of Handler.CountTokens.
const (
	countForward  = "forward"
	countEstimate = "estimate"
	countOff      = "off"
)

// checkCountTokens refuses what is no value of count_tokens.
func checkCountTokens(value string) error {
	switch value {
	case "", countForward, countEstimate, countOff:
		return nil
	default:
		return fmt.Errorf("count_tokens: must be forward, estimate or off, not %q", value)
	}
}

// countTokens answers a request to count tokens: by a source that counts, or
// with an estimate if the model has none.
func (x *exchange) countTokens(snapshot *routing.Snapshot) error {
	if x.h.CountTokens == countOff {
		return x.fail(&chat.Error{Kind: chat.ErrNotFound, Code: "not_found", Message: "this gateway does not count tokens"})
	}
	if err := x.read(); err != nil {
		return x.fail(err)
	}
	if err := x.chooseModel(snapshot); err != nil {
		return x.fail(err)
	}
	request := x.request(format.OperationChat)
	if _, err := x.h.router.Plan(snapshot, request); err != nil {
		return x.fail(x.h.planError(x.envelope.model, err))
	}
	if x.h.CountTokens == countEstimate {
		return x.estimate()
	}
	request.Operation = format.OperationCountTokens
	var err error
	if x.plan, err = x.h.router.Plan(snapshot, request); err != nil {
		return x.estimate() // it can chat, so what it lacks is counting
	}
	if err := x.pin(); err != nil {
		return x.fail(err)
	}
	if x.tryAll() {
		return nil
	}
	if x.cannotCount() {
		return x.estimate()
	}
	return x.failAttempts()
}

// cannotCount says that the last source that was asked does not know how to
// count: servers that are compatible with a format often have its main address
// only.
func (x *exchange) cannotCount() bool {
	switch x.last.class {
	case routing.ClassMissing, routing.ClassUnsupported, routing.ClassRefused:
		return true
	case routing.ClassClientFault:
		return x.last.err.Status == http.StatusMethodNotAllowed
	default:
		return false
	}
}

// estimate answers with the gateway's own estimate, and says that it is one.
func (x *exchange) estimate() error {
	counter, ok := format.CounterOf(x.endpoint.Format)
	if !ok {
		return x.fail(fmt.Errorf("no counter for format %s", x.endpoint.Format))
	}
	request, err := counter.DecodeCountRequest(x.document.index.Root())
	if err != nil {
		return x.fail(err)
	}
	x.w.Header().Set("X-Gateway-Token-Count", "estimated")
	return x.answerJSON(counter.EncodeCount(nil, format.EstimateTokens(request)))
}

// counting is the work of requests to count tokens.
type counting struct {
	request *chat.Request // made when the first source of another format is tried
}

// read implements work. Gemini has a form in which the request stands inside.
func (c *counting) read(x *exchange) error {
	if err := x.readBody(); err != nil {
		return err
	}
	root := x.document.index.Root()
	inner := root
	for _, name := range [...]string{"generateContentRequest", "generate_content_request"} {
		if found := root.Get(name); x.endpoint.Format == format.Gemini && present(found) {
			inner = found
		}
	}
	envelope, err := readEnvelope(&x.endpoint, inner)
	if err != nil {
		return err
	}
	for key := range root.Members {
		envelope.forbidden = envelope.forbidden || isForbidden(key)
	}
	envelope.stream, envelope.trace = false, false // a count is no stream, and leaves no trace
	x.envelope = envelope
	return nil
}

// encode implements work.
func (c *counting) encode(a *attempt) error {
	renamer, inBody := a.codec.(format.Renamer)
	switch {
	case a.same && !inBody:
		a.pass()
		return nil
	case a.same && !a.x.envelope.forbidden:
		renamer.Rename(&a.body.Body, a.x.document.index.Root(), a.source.Model)
		return nil
	}
	to, ok := format.CounterOf(a.format)
	from, known := format.CounterOf(a.x.endpoint.Format)
	if !ok || !known {
		return chat.Invalid("model", "this model has no source that counts tokens")
	}
	if c.request == nil {
		request, err := from.DecodeCountRequest(a.x.document.index.Root())
		if err != nil {
			return err
		}
		c.request = request
	}
	target := a.source.Target
	target.Names = &a.names
	report, err := to.EncodeCountRequest(&a.body.Body, c.request, target)
	if err != nil {
		return err
	}
	return a.account(report)
}

// answer implements work.
func (c *counting) answer(a *attempt, body io.Reader) outcome {
	if out := a.take(body); out.class != routing.ClassOK {
		return out
	}
	if err := a.passed.index.Parse(a.passed.data); err != nil {
		return readFailure(a.ctx, a.name(), routing.ClassBadAnswer, err)
	}
	from, ok := format.CounterOf(a.format)
	to, known := format.CounterOf(a.x.endpoint.Format)
	if !ok || !known {
		return a.badAnswer(chat.BadAnswer("the upstream's format has no counts of tokens"))
	}
	tokens, err := from.DecodeCount(a.passed.index.Root())
	if err != nil {
		return a.badAnswer(err)
	}
	if !a.same {
		a.encoded = to.EncodeCount(nil, tokens)
	}
	return outcome{}
}
