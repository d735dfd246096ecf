package handler

import (
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// exchange is one client's request and what becomes of it.
type exchange struct {
	h        *Handler
	w        http.ResponseWriter
	r        *http.Request
	endpoint format.Endpoint
	codec    format.Chat // of the client's format
	id       string
	began    time.Time

	// document is the client's body; nil once it has been let go.
	document *document
	bodyRead bool // to its end
	envelope envelope
	neutral  *chat.Request // made when the first source of another format is tried

	attempts int
	last     outcome            // of the latest attempt
	source   *routing.Candidate // of the latest attempt
	failures []string           // the classes of the failed attempts

	committed bool
	firstByte time.Time
	usage     chat.Usage
	values    headerValues
}

// newExchange begins the work on a request.
func (h *Handler) newExchange(w http.ResponseWriter, r *http.Request, ep format.Endpoint) *exchange {
	x := &exchange{h: h, w: w, r: r, endpoint: ep, began: time.Now(), id: requestID(r)}
	if ep.Operation == format.OperationListModels && r.Header.Get("Anthropic-Version") != "" {
		x.endpoint.Format = format.AnthropicMessages
	}
	x.codec, _ = format.ChatOf(x.endpoint.Format) // Match knows only formats that have one
	return x
}

// requestID is the client's own id if it is one that is safe to repeat, else a
// new one.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); safeID(id) {
		return id
	}
	id, err := uuid.NewV7()
	if err != nil {
		id = uuid.New()
	}
	return id.String()
}

// safeID says that an id has 1 to 128 characters that mean nothing in a header,
// a log or a file name.
func safeID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == ':':
		default:
			return false
		}
	}
	return true
}

// read takes the request's body and finds out what it asks for.
func (x *exchange) read() error {
	x.document = newDocument()
	if err := x.document.read(x.w, x.r, x.h.maxBody()); err != nil {
		return err
	}
	x.bodyRead = true
	envelope, err := readEnvelope(x.document.index.Root())
	x.envelope = envelope
	return err
}

// serve tries the plan's sources in order until one of them answers.
func (x *exchange) serve(plan *routing.Plan) error {
	for x.attempts < x.h.maxAttempts() {
		source, ok := plan.Next()
		if !ok {
			break
		}
		x.attempts++
		x.source = source
		x.last = x.try(source)
		if x.last.class == classOK || x.committed || !x.last.class.failover() {
			break
		}
	}
	if x.last.class == classOK || x.committed {
		return nil
	}
	return x.failAttempts()
}

// try asks one source and relays its answer if it has one.
func (x *exchange) try(source *routing.Candidate) outcome {
	a, err := x.newAttempt(source)
	if err != nil {
		return refused(err)
	}
	defer a.close()
	out := a.run()
	if out.class == classOK {
		out = a.relay()
	}
	if out.class != classOK {
		x.failures = append(x.failures, out.class.String())
		a.log(out)
	}
	return out
}

// decoded is the request in neutral form. It is decoded once, for all attempts.
func (x *exchange) decoded() (*chat.Request, error) {
	if x.neutral == nil {
		request, err := x.codec.DecodeRequest(x.document.index.Root())
		if err != nil {
			return nil, err
		}
		x.neutral = request
	}
	return x.neutral, nil
}

// letBodyGo frees the request's bytes: an answer is on its way, nobody needs
// them any more, and a stream may take an hour.
func (x *exchange) letBodyGo() {
	x.neutral = nil
	if x.document != nil {
		x.document.release()
		x.document = nil
	}
}

// commit sends the status and the headers.
func (x *exchange) commit(status int) {
	x.committed = true
	x.firstByte = time.Now()
	x.w.WriteHeader(status)
}
