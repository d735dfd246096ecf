package handler

import (
	"io"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// embedding is the work of requests for embeddings.
type embedding struct {
	request *format.EmbedRequest // made when the first source of another format is tried
}

// read implements work.
func (e *embedding) read(x *exchange) error { return x.readDocument() }

// encode implements work.
func (e *embedding) encode(a *attempt) error {
	if a.same && e.pass(a) {
		return nil
	}
	codec, ok := format.EmbeddingsOf(a.format)
	if !ok {
		return chat.Invalid("model", "this model has no source that makes embeddings; use another model")
	}
	request, err := e.decoded(a.x)
	if err != nil {
		return err
	}
	a.verb = embedVerb(a.format, request)
	report, err := codec.EncodeEmbedRequest(&a.body.Body, request, a.source.Model)
	if err != nil {
		return err
	}
	return a.account(report)
}

// pass writes the client's own body under the upstream's name of the model. It is
// false if the body holds both members that name the model and members that no
// client may send on: such a request is written anew.
func (e *embedding) pass(a *attempt) bool {
	codec, _ := format.EmbeddingsOf(a.format)
	renamer, inBody := codec.(format.Renamer)
	switch {
	case !inBody:
		a.pass()
		return true
	case a.x.envelope.forbidden:
		return false
	}
	a.verb = a.x.endpoint.Verb
	renamer.Rename(&a.body.Body, a.x.document.index.Root(), a.source.Model)
	return true
}

// decoded is the request in neutral form.
func (e *embedding) decoded(x *exchange) (*format.EmbedRequest, error) {
	if e.request != nil {
		return e.request, nil
	}
	codec, ok := format.EmbeddingsOf(x.endpoint.Format)
	if !ok {
		return nil, chat.Invalid("", "there is no codec for "+string(x.endpoint.Format))
	}
	request, err := codec.DecodeEmbedRequest(x.document.index.Root())
	if err != nil {
		return nil, err
	}
	e.request = request
	return request, nil
}

// embedVerb is what Gemini's path asks for: one embedding or several.
func embedVerb(to format.ID, r *format.EmbedRequest) string {
	switch {
	case to != format.GeminiEmbeddings:
		return ""
	case r.List:
		return "batchEmbedContents"
	default:
		return "embedContent"
	}
}

// answer implements work.
func (e *embedding) answer(a *attempt, body io.Reader) outcome {
	if out := a.take(body); out.class != routing.ClassOK {
		return out
	}
	codec, _ := format.EmbeddingsOf(a.format)
	if a.same {
		usage, err := codec.InspectVectors(a.passed.data)
		if err != nil {
			return a.badAnswer(err)
		}
		a.x.usage = usage
		return outcome{}
	}
	if err := a.passed.index.Parse(a.passed.data); err != nil {
		return readFailure(a.ctx, a.name(), routing.ClassBadAnswer, err)
	}
	vectors, err := codec.DecodeVectors(a.passed.index.Root(), len(e.request.Texts))
	if err != nil {
		return a.badAnswer(err)
	}
	a.x.usage = vectors.Usage
	client, _ := format.EmbeddingsOf(a.x.endpoint.Format) // it has decoded the request
	a.encoded, err = client.EncodeVectors(nil, vectors, e.request, a.x.envelope.model)
	if err != nil {
		return a.badAnswer(err)
	}
	return outcome{}
}
