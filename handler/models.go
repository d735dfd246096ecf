package handler

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// maxPage is the largest page of models, as Anthropic and Google have it.
const maxPage = 1000

// listModels answers GET /v1/models and /v1/models/{id}, in the shape that the
// client's format has for it.
func (x *exchange) listModels(snapshot *routing.Snapshot) error {
	if x.endpoint.Model != "" {
		return x.oneModel(snapshot)
	}
	models := snapshot.Offers(x.h.names)
	switch x.endpoint.Format {
	case format.AnthropicMessages:
		return x.anthropicPage(models)
	case format.Gemini:
		return x.geminiPage(models)
	}
	body := []byte(`{"object":"list","data":[`)
	body = appendModels(body, models, appendOpenAIModel)
	return x.answerJSON(append(body, "]}"...))
}

// oneModel answers with a single model, or with the error for an unknown one.
func (x *exchange) oneModel(snapshot *routing.Snapshot) error {
	name, err := url.PathUnescape(x.endpoint.Model)
	if err != nil {
		return x.fail(chat.Invalid("", "the path is not a valid escaped path"))
	}
	if x.endpoint.Format == format.Gemini {
		name = strings.TrimPrefix(name, "models/")
	}
	offer, ok := snapshot.Offer(x.h.names, name)
	if !ok {
		x.envelope.model = name
		return x.fail(x.h.planError(name, routing.ErrUnknownModel))
	}
	switch x.endpoint.Format {
	case format.AnthropicMessages:
		return x.answerJSON(appendAnthropicModel(nil, &offer))
	case format.Gemini:
		return x.answerJSON(appendGeminiModel(nil, &offer))
	default:
		return x.answerJSON(appendOpenAIModel(nil, &offer))
	}
}

// anthropicPage answers with a page of the list: limit, after_id and before_id
// choose it.
func (x *exchange) anthropicPage(models []routing.Offer) error {
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
		return slices.IndexFunc(models, func(m routing.Offer) bool { return m.Name == id })
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

// geminiPage answers with a page of the list: pageSize and pageToken choose it.
// A token is the name of the last model before the page.
func (x *exchange) geminiPage(models []routing.Offer) error {
	query := x.r.URL.Query()
	size := 50
	if text := query.Get("pageSize"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return x.fail(chat.Invalid("pageSize", "pageSize must be a number from 0 to 1000"))
		}
		if n > 0 {
			size = min(n, maxPage)
		}
	}
	if token := query.Get("pageToken"); token != "" {
		i := slices.IndexFunc(models, func(m routing.Offer) bool { return m.Name == token })
		if i < 0 {
			return x.fail(chat.Invalid("pageToken", "pageToken is not one that a list has answered with"))
		}
		models = models[i+1:]
	}
	more := len(models) > size
	models = models[:min(len(models), size)]
	body := append([]byte(nil), `{"models":[`...)
	body = appendModels(body, models, appendGeminiModel)
	body = append(body, ']')
	if more {
		body = append(body, `,"nextPageToken":`...)
		body = chat.AppendQuoted(body, models[len(models)-1].Name)
	}
	return x.answerJSON(append(body, '}'))
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
