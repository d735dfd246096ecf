package handler

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// work is what an operation that is no conversation has of its own. Everything
// else (the plan, the attempts, what an outcome leads to) is the same for all
// operations. A work serves one exchange.
type work interface {
	// read takes the request's body and finds out what it asks for.
	read(x *exchange) error
	// encode writes the body for a source, and sets how it is sent.
	encode(a *attempt) error
	// answer reads a success of the source up to where it can be relayed.
	answer(a *attempt, body io.Reader) outcome
}

// newWork returns the work of an operation; nil for conversations, which the
// attempt itself knows.
func newWork(op format.Operation) work {
	switch op {
	case format.OperationEmbed:
		return new(embedding)
	case format.OperationCountTokens:
		return new(counting)
	case format.OperationImageGenerate, format.OperationImageEdit, format.OperationAudioSpeech,
		format.OperationAudioTranscribe, format.OperationRerank:
		return new(forwarding)
	default:
		return nil
	}
}

// forwarding is the work of operations that are passed through within one format:
// images, audio, rerank. Only the model's name is changed.
type forwarding struct {
	form *form // nil if the body is JSON
}

// read implements work.
func (f *forwarding) read(x *exchange) error {
	boundary, isForm, err := formBoundary(x.r.Header.Get("Content-Type"))
	switch {
	case err != nil:
		return err
	case !isForm:
		return x.readDocument()
	}
	if err := x.receiveBody(); err != nil {
		return err
	}
	f.form, err = readForm(x.document.data, boundary)
	if err != nil {
		return err
	}
	x.envelope.stream = f.form.stream
	return x.envelope.setName(f.form.model)
}

// encode implements work. Of a source that speaks another format nothing can be
// made.
func (f *forwarding) encode(a *attempt) error {
	if !a.same {
		return chat.Invalid("model", "this model has no source that takes such requests; use another model")
	}
	if a.x.endpoint.Name == "translations" {
		a.verb = "translations" // an operation with two addresses
	}
	if f.form == nil {
		a.pass()
		return nil
	}
	a.contentType = a.x.r.Header.Get("Content-Type")
	f.form.write(&a.body.Body, a.source.Model)
	return nil
}

// answer implements work. An answer in JSON is read to its end, so that one that
// is an error can still be answered by another source; any other is relayed as it
// comes, from its first bytes on.
func (f *forwarding) answer(a *attempt, body io.Reader) outcome {
	mediaType, _, _ := strings.Cut(a.response.Header.Get("Content-Type"), ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	switch {
	case mediaType == "text/html":
		return a.badAnswer(chat.BadAnswer("the upstream's answer is a web page"))
	case mediaType != "application/json":
		return a.holdRaw(body)
	}
	if out := a.take(body); out.class != routing.ClassOK {
		return out
	}
	if err := a.passed.index.Parse(a.passed.data); err != nil {
		return readFailure(a.ctx, a.name(), routing.ClassBadAnswer, err)
	}
	root := a.passed.index.Root()
	if root.Get("error").Kind() == tape.Object {
		return a.reportedError(a.codec.DecodeError(http.StatusOK, nil, a.passed.data), routing.ClassBadAnswer)
	}
	a.x.usage = usageIn(root.Get("usage"))
	return outcome{}
}

// usageIn reads the counts of tokens of an answer that is no conversation, under
// the names that OpenAI's newer formats have for them, and the older.
func usageIn(v tape.Value) chat.Usage {
	var u chat.Usage
	for _, count := range []struct {
		name string
		at   *int64
	}{
		{"input_tokens", &u.InputUncached},
		{"prompt_tokens", &u.InputUncached},
		{"output_tokens", &u.Output},
		{"completion_tokens", &u.Output},
	} {
		if n, ok := v.Get(count.name).Int(); ok && n >= 0 {
			*count.at, u.Known = n, true
		}
	}
	return u
}

// readDocument takes a JSON body and reads its envelope.
func (x *exchange) readDocument() error {
	if err := x.readBody(); err != nil {
		return err
	}
	envelope, err := readEnvelope(&x.endpoint, x.document.index.Root())
	x.envelope = envelope
	return err
}

// take reads a complete answer into the attempt, without an index.
func (a *attempt) take(body io.Reader) outcome {
	a.passed = newDocument()
	if err := a.passed.fill(io.LimitReader(body, maxAnswer+1), a.response.ContentLength); err != nil {
		return readFailure(a.ctx, a.name(), routing.ClassBadAnswer, err)
	}
	if len(a.passed.data) > maxAnswer {
		return readFailure(a.ctx, a.name(), routing.ClassBadAnswer, chat.BadAnswer("the upstream's answer is larger than 64 MiB"))
	}
	return outcome{}
}

// holdRaw reads the first bytes of an answer that is relayed as it is.
func (a *attempt) holdRaw(body io.Reader) outcome {
	a.held = newBuffer()
	a.clock.enter(&a.content)
	for len(a.held) == 0 {
		n, err := body.Read(a.held[:cap(a.held)])
		a.held = a.held[:n]
		switch {
		case n > 0:
		case errors.Is(err, io.EOF):
			return a.badAnswer(chat.BadAnswer("the upstream's answer is empty"))
		case err != nil:
			return readFailure(a.ctx, a.name(), routing.ClassBadAnswer, err)
		}
	}
	a.raw = body
	return outcome{}
}

// relayRaw sends an answer as it is and as it comes. One that breaks off is ended
// so that the client notices.
func (a *attempt) relayRaw() outcome {
	header := a.x.w.Header()
	contentType := a.response.Header.Get("Content-Type")
	if contentType == "" {
		contentType = "application/octet-stream"
	}
	a.x.values.set(header, "Content-Type", contentType)
	if a.response.ContentLength > 0 {
		a.x.values.set(header, "Content-Length", strconv.FormatInt(a.response.ContentLength, 10))
	}
	events := isEvents(contentType)
	if events {
		a.x.values.set(header, "Cache-Control", "no-cache")
		a.x.values.set(header, "X-Accel-Buffering", "no")
	}
	a.x.commit(http.StatusOK)
	client := newClientStream(a.x.w, nil, 0, false)
	defer client.close()

	a.clock.enter(&a.idle)
	piece := a.held
	for {
		a.clock.hold()
		if err := client.write(piece); err != nil {
			return outcome{class: routing.ClassAbandoned, detail: err}
		}
		a.clock.touch()
		n, err := a.raw.Read(a.held[:cap(a.held)])
		a.clock.touch()
		piece = a.held[:n]
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			if err := client.write(piece); err != nil {
				return outcome{class: routing.ClassAbandoned, detail: err}
			}
			return outcome{}
		default:
			return a.breakOff(client, piece, events, err)
		}
	}
}

// breakOff ends an answer that could not be read to its end: with an error event,
// or, where the format has none, by cutting the connection.
func (a *attempt) breakOff(client *clientStream, piece []byte, events bool, err error) outcome {
	failed := readFailure(a.ctx, a.name(), routing.ClassBrokenStream, err)
	if !events {
		a.x.cut = true
		return failed
	}
	last := bytes.Clone(piece)
	client.write(a.x.codec.NewStreamWatcher().AppendError(last, failed.err)) // whether it arrives or not
	return failed
}

// isEvents says whether a content type is that of an event stream.
func isEvents(contentType string) bool {
	mediaType, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), "text/event-stream")
}
