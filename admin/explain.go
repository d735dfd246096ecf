package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// Question is a request whose way is to be explained.
type Question struct {
	// Model is the name the client would ask for. Required.
	Model string `json:"model"`
	// Format is the client's format. Default: openai_chat.
	Format format.ID `json:"format,omitempty"`
	// Operation is what the client would ask for. Default: the first that the format
	// serves, such as chat.
	Operation format.Operation `json:"operation,omitempty"`
	// Request is the body the client would send, a JSON object. Default: none.
	Request json.RawMessage `json:"request,omitempty"`
}

// Explanation is the answer to a question.
type Explanation struct {
	Format    format.ID        `json:"format"`
	Operation format.Operation `json:"operation"`
	routing.Explanation
}

// operations lists what can be explained, the common first.
var operations = []format.Operation{
	format.OperationChat, format.OperationComplete, format.OperationEmbed, format.OperationCountTokens,
	format.OperationImageGenerate, format.OperationImageEdit, format.OperationAudioSpeech,
	format.OperationAudioTranscribe, format.OperationRerank,
}

// explain answers POST /explain.
func (a *API) explain(g Gateway, w http.ResponseWriter, r *http.Request) error {
	var q Question
	if err := readBody(w, r, &q); err != nil {
		return err
	}
	if err := q.check(); err != nil {
		return err
	}
	explanation, err := g.Explain(r.Context(), q)
	if errors.Is(err, routing.ErrUnknownModel) {
		return &Error{Status: http.StatusNotFound, Code: "unknown_model", Message: fmt.Sprintf("there is no model %q", q.Model), Field: "model"}
	}
	if err != nil {
		return err
	}
	if explanation.Sources == nil {
		explanation.Sources = []routing.ExplainedSource{} // a list is never null
	}
	a.answer(w, http.StatusOK, Explanation{q.Format, q.Operation, explanation})
	return nil
}

// check refuses a question that makes no sense and fills in what it leaves out.
func (q *Question) check() error {
	if q.Model == "" {
		return invalid("model", "required: the name that clients ask for")
	}
	if q.Format == "" {
		q.Format = format.OpenAIChat
	}
	q.Format = format.ID(strings.ReplaceAll(string(q.Format), "-", "_"))
	if !slices.Contains(upstream.KnownFormats(), q.Format) {
		return invalid("format", "unknown; known are "+joined(upstream.KnownFormats()))
	}
	served := served(q.Format)
	switch {
	case q.Operation == "" && len(served) > 0:
		q.Operation = served[0]
	case !slices.Contains(served, q.Operation):
		return invalid("operation", "requests in the format "+string(q.Format)+" can be "+joined(served))
	}
	if request := bytes.TrimSpace(q.Request); len(request) > 0 && request[0] != '{' {
		return invalid("request", "must be an object")
	}
	return nil
}

// served lists the operations that a format has.
func served(f format.ID) []format.Operation {
	var all []format.Operation
	for _, op := range operations {
		if upstream.Serves(f, op) {
			all = append(all, op)
		}
	}
	return all
}

func joined[T ~string](words []T) string {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = string(w)
	}
	return strings.Join(texts, ", ")
}
