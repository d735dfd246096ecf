package handler

import (
	"net/http"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/uuid"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/anthropic"
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
	work     work        // of an operation that is no conversation; else nil
	id       string
	began    time.Time

	// document is the client's body; nil once it has been let go.
	document *document
	body     pacedBody
	bodyRead bool // to its end
	envelope envelope
	neutral  *chat.Request // made when the first source of another format is tried

	clientKey string // the key the client has sent, in whatever place
	plan      routing.Plan
	admission routing.Admission // of the latest attempt
	attempts  int
	moves     int                // to another source
	keyMoves  int                // to another credential of the same source
	repeated  bool               // a source was asked once more
	last      outcome            // of the latest attempt
	source    *routing.Candidate // of the latest attempt
	failures  []string           // the classes of the failed attempts

	// unsigned says that the request is sent without signatures of thoughts, since
	// an upstream has refused one.
	unsigned bool
	// losses are what translations of the answering attempt dropped or changed.
	losses losses

	// bounded limits the time of writes to the client; nil if the server does.
	bounded   *caddyhttp.IdleTimeoutWriter
	committed bool
	cut       bool // the answer broke off: its connection must end with it
	firstByte time.Time
	usage     chat.Usage
	values    headerValues
}

// newExchange begins the work on a request.
func (h *Handler) newExchange(w http.ResponseWriter, r *http.Request, ep format.Endpoint) *exchange {
	x := &exchange{h: h, w: w, r: r, endpoint: ep, began: time.Now(), id: requestID(r)}
	if ep.Operation == format.OperationListModels {
		x.endpoint.Format = listFormat(ep.Format, r.Header)
	}
	codec, ok := format.ChatOf(x.endpoint.Format)
	if !ok {
		codec, _ = format.ChatOf(format.Family(x.endpoint.Format)) // for errors; each family has one
	}
	x.codec = codec
	x.work = newWork(ep.Operation)
	x.boundWrites()
	x.endAfterChunks()
	return x
}

// listFormat is the shape in which a client wants lists of models: the same path
// is asked by the clients of three formats.
func listFormat(path format.ID, header http.Header) format.ID {
	switch {
	case path == format.Gemini || header.Get("X-Goog-Api-Key") != "":
		return format.Gemini
	case header.Get("Anthropic-Version") != "":
		return format.AnthropicMessages
	default:
		return path
	}
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
	if x.work != nil {
		return x.work.read(x)
	}
	return x.readDocument()
}

// serve tries the plan's sources in order until one of them answers.
func (x *exchange) serve() error {
	if err := x.admitThread(); err != nil {
		return x.fail(err)
	}
	if err := x.pin(); err != nil {
		return x.fail(err)
	}
	if x.tryAll() {
		return nil
	}
	return x.failAttempts()
}

// refuse notes that a source could not be asked, because its format has no words
// for the request. It is no attempt, and what a source that was asked has
// answered is the better last word.
func (x *exchange) refuse(out outcome) {
	if x.attempts == 0 && x.last.err == nil {
		x.last = out
	}
}

// admitThread lets a request of a message thread pass only if every turn of the
// thread is sure to reach the same upstream: SDKs answer the error by sending
// the whole conversation.
func (x *exchange) admitThread() error {
	if !x.envelope.thread {
		return nil
	}
	if only, ok := x.plan.Only(); ok && only.Format == format.AnthropicMessages {
		return nil
	}
	return anthropic.ThreadUnsupported()
}

// decoded is the request in neutral form. It is decoded once, for all attempts.
func (x *exchange) decoded() (*chat.Request, error) {
	if x.neutral == nil {
		request, err := x.codec.DecodeRequest(x.document.index.Root())
		if err != nil {
			return nil, err
		}
		request.Model, request.Stream = x.envelope.model, x.envelope.stream // some formats have them in the path
		x.neutral = request
	}
	return x.neutral, nil
}

// needsRequest says that the answers of the client's format repeat parts of the
// request, so that its bytes are kept until the answer has ended.
func (x *exchange) needsRequest(r *chat.Request) bool {
	switch x.endpoint.Format {
	case format.OpenAIResponses, format.Gemini:
		return true
	default:
		return slices.ContainsFunc(r.Tools, func(t chat.Tool) bool { return t.Custom != nil })
	}
}

// wantsArray says that the client wants its stream as one JSON array, as Gemini's
// clients get it who do not ask for events.
func (x *exchange) wantsArray() bool {
	return x.endpoint.Format == format.Gemini && x.endpoint.Stream && x.r.URL.Query().Get("alt") != "sse"
}

// letBodyGo frees the request's bytes: an answer is on its way, nobody needs
// them any more, and a stream may take an hour.
func (x *exchange) letBodyGo() {
	if x.neutral != nil {
		x.neutral.Release()
		x.neutral = nil
	}
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
