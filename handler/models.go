package handler

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// maxPage is the largest page of models, as Anthropic has it.
const maxPage = 1000

// listModels answers GET /v1/models and /v1/models/{id}, in the shape that the
// client's format has for it.
func (x *exchange) listModels(snapshot *routing.Snapshot) error {
	models := snapshot.Models()
	if x.endpoint.Model != "" {
		return x.oneModel(models)
	}
	if x.endpoint.Format == format.AnthropicMessages {
		return x.anthropicPage(models)
	}
	body := []byte(`{"object":"list","data":[`)
	body = appendModels(body, models, appendOpenAIModel)
	return x.answerJSON(append(body, "]}"...))
}

// oneModel answers with a single model, or with the error for an unknown one.
func (x *exchange) oneModel(models []*routing.Entry) error {
	name, err := url.PathUnescape(x.endpoint.Model)
	if err != nil {
		return x.fail(chat.Invalid("", "the path is not a valid escaped path"))
	}
	i := slices.IndexFunc(models, func(m *routing.Entry) bool { return m.Name == name })
	if i < 0 {
		x.envelope.model = name
		return x.fail(x.h.planError(name, routing.ErrUnknownModel))
	}
	if x.endpoint.Format == format.AnthropicMessages {
		return x.answerJSON(appendAnthropicModel(nil, models[i]))
	}
	return x.answerJSON(appendOpenAIModel(nil, models[i]))
}

// anthropicPage answers with a page of the list: limit, after_id and before_id
// choose it.
func (x *exchange) anthropicPage(models []*routing.Entry) error {
	query := x.r.URL.Query()
	limit := 20
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPage {
			return x.fail(chat.Invalid("limit", "limit must be a number from 1 to 1000"))
		}
		limit = n
	}
	more := false
	index := func(id string) int {
		return slices.IndexFunc(models, func(m *routing.Entry) bool { return m.Name == id })
	}
	if after := query.Get("after_id"); after != "" {
		models = models[index(after)+1:]
	}
	if before := query.Get("before_id"); before != "" {
		models = models[:max(index(before), 0)]
		more = len(models) > limit
		models = models[max(len(models)-limit, 0):]
	} else {
		more = len(models) > limit
		models = models[:min(len(models), limit)]
	}
	body := []byte(`{"data":[`)
	body = appendModels(body, models, appendAnthropicModel)
	body = append(body, `],"has_more":`...)
	body = strconv.AppendBool(body, more)
	body = append(body, `,"first_id":`...)
	body = appendIDOf(body, models, 0)
	body = append(body, `,"last_id":`...)
	body = appendIDOf(body, models, len(models)-1)
	return x.answerJSON(append(body, '}'))
}

// appendModels appends the models with commas between them.
func appendModels(dst []byte, models []*routing.Entry, one func([]byte, *routing.Entry) []byte) []byte {
	for i, m := range models {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = one(dst, m)
	}
	return dst
}

// appendIDOf appends the id of model i, or null if there is none.
func appendIDOf(dst []byte, models []*routing.Entry, i int) []byte {
	if i < 0 || i >= len(models) {
		return append(dst, "null"...)
	}
	return chat.AppendQuoted(dst, models[i].Name)
}

// appendOpenAIModel appends a model as OpenAI lists it. When it was made is not
// known, which the format can say only as 0.
func appendOpenAIModel(dst []byte, m *routing.Entry) []byte {
	dst = append(dst, `{"id":`...)
	dst = chat.AppendQuoted(dst, m.Name)
	dst = append(dst, `,"object":"model","created":0,"owned_by":`...)
	owner := m.Model.Vendor
	if owner == "" {
		owner = "ai_gateway"
	}
	dst = chat.AppendQuoted(dst, owner)
	return append(dst, '}')
}

// appendAnthropicModel appends a model as Anthropic lists it. The epoch stands
// for an unknown release date there (docs.anthropic.com, API reference, "Get a
// model").
func appendAnthropicModel(dst []byte, m *routing.Entry) []byte {
	dst = append(dst, `{"type":"model","id":`...)
	dst = chat.AppendQuoted(dst, m.Name)
	dst = append(dst, `,"display_name":`...)
	name := m.Model.DisplayName
	if name == "" {
		name = m.Name
	}
	dst = chat.AppendQuoted(dst, name)
	return append(dst, `,"created_at":"1970-01-01T00:00:00Z"}`...)
}

// answerJSON sends a document of the gateway's own.
func (x *exchange) answerJSON(body []byte) error {
	x.setHeaders(nil)
	header := x.w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	x.commit(http.StatusOK)
	if x.r.Method != http.MethodHead {
		x.w.Write(body) // a client that has left is no failure of ours
	}
	return nil
}
