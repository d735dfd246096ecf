package upstream

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// listStyle is the way in which a list of models is written and divided.
type listStyle uint8

const (
	openAIStyle listStyle = iota
	anthropicStyle
	geminiStyle
	ollamaStyle
)

// styles are what the styles are called, and the parameters of a page.
var styles = [...]struct{ endpoint, size, after string }{
	openAIStyle:    {"openai_models", "", "after"},
	anthropicStyle: {"anthropic_models", "limit", "after_id"},
	geminiStyle:    {"gemini_models", "pageSize", "pageToken"},
	ollamaStyle:    {"ollama_tags", "", ""},
}

// modelList is a place where a service may list its models.
type modelList struct {
	style listStyle
	// endpoint is what the list is called.
	endpoint string
	url      *url.URL
	header   http.Header
	// size and after are the parameters for the size of a page and for what comes
	// behind one; "" where there is none.
	size, after string
}

// newModelList makes a list that is asked for with the headers of an endpoint.
func newModelList(style listStyle, at *url.URL, e *endpoint) modelList {
	names := styles[style]
	l := modelList{style: style, endpoint: names.endpoint, url: at, header: e.whole.Clone(), size: names.size, after: names.after}
	l.header.Del("Content-Type")
	l.header.Del("Idempotency-Key")
	l.header["Accept"] = jsonType
	if style != anthropicStyle {
		l.header.Del(anthropicVersion) // by which some services choose the style
		l.header.Del(anthropicBeta)
	}
	return l
}

// lists are the places where the service may list its models: first the one that
// belongs to the first format whose list has a known address, then those that it
// may have instead.
func (u *Upstream) lists() []modelList {
	for _, f := range u.formats {
		e, ok := u.endpoints[f]
		if !ok {
			continue
		}
		at, ok := e.modelList(f)
		if !ok {
			continue
		}
		native := newModelList(styleOf(f), at, e)
		all := append([]modelList{native}, u.plainLists(f, e, rootOf(at.EscapedPath()))...)
		if u.mayBeOllama() {
			all = append(all, newModelList(ollamaStyle, addressBelow(at, rootOf(at.EscapedPath()), "/api/tags"), e))
		}
		return all
	}
	return nil
}

// plainLists are the places of OpenAI's list for a service whose first format is
// not one of OpenAI's: where it is for the formats of OpenAI that the upstream
// speaks, or else below the root of the service, where it usually is.
func (u *Upstream) plainLists(first format.ID, e *endpoint, root string) []modelList {
	if styleOf(first) == openAIStyle {
		return nil
	}
	for _, f := range u.formats {
		own, ok := u.endpoints[f]
		if !ok || styleOf(f) != openAIStyle {
			continue
		}
		if at, ok := own.modelList(f); ok {
			return []modelList{newModelList(openAIStyle, at, own)}
		}
	}
	return []modelList{
		newModelList(openAIStyle, addressBelow(e.url, root, "/v1/models"), e),
		newModelList(openAIStyle, addressBelow(e.url, root, "/models"), e),
	}
}

// mayBeOllama says whether the service may be a server of Ollama: it is one, or
// nothing is known of it.
func (u *Upstream) mayBeOllama() bool {
	if !u.hasProvider {
		return true
	}
	known, err := u.preset()
	return err == nil && known != nil && known.name == "ollama"
}

// styleOf is the style of the list that belongs to a format.
func styleOf(f format.ID) listStyle {
	switch f {
	case format.AnthropicMessages:
		return anthropicStyle
	case format.Gemini, format.GeminiEmbeddings:
		return geminiStyle
	default:
		return openAIStyle
	}
}

// rootOf is the path of a service, given that of its list of models: what stands
// before the version.
func rootOf(list string) string {
	root := strings.TrimSuffix(list, "/models")
	if i := strings.LastIndexByte(root, '/'); i >= 0 && isVersion(root[i+1:]) {
		root = root[:i]
	}
	return root
}

// addressBelow is the address of an escaped path below a root on the same host.
func addressBelow(host *url.URL, root, path string) *url.URL {
	u := &url.URL{Scheme: host.Scheme, Host: host.Host}
	escaped := root + path
	plain, err := url.PathUnescape(escaped)
	if err != nil { // not possible: it came from a URL
		plain = escaped
	}
	u.Path, u.RawPath = plain, escaped
	if (&url.URL{Path: plain}).EscapedPath() == escaped {
		u.RawPath = ""
	}
	return u
}
