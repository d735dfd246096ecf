package upstream

import (
	"net/url"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// below is what follows a format's path for operations that have an address of
// their own.
var below = map[format.ID]map[format.Operation]string{
	format.AnthropicMessages: {format.OperationCountTokens: "/count_tokens"},
	format.OpenAIResponses:   {format.OperationCountTokens: "/input_tokens"},
	format.OpenAIImages:      {format.OperationImageGenerate: "/generations", format.OperationImageEdit: "/edits"},
	format.OpenAIAudio:       {format.OperationAudioSpeech: "/speech", format.OperationAudioTranscribe: "/transcriptions"},
}

// address is where the call goes.
func (e *endpoint) address(call *Call) *url.URL {
	switch call.Format {
	case format.Gemini, format.GeminiEmbeddings:
		return e.ofModel(call)
	}
	tail := below[call.Format][call.Operation]
	if call.Verb != "" {
		tail = "/" + call.Verb
	}
	if tail == "" {
		return e.url
	}
	u := *e.url
	u.Path += tail
	if u.RawPath != "" {
		u.RawPath += tail
	}
	return &u
}

// ofModel is the address of a format that names the model and what is asked of
// it in the path. Streams are asked for as events.
func (e *endpoint) ofModel(call *Call) *url.URL {
	u := *e.url
	base := u.EscapedPath()
	name, verb := strings.TrimPrefix(call.Model, "models/"), ":"+geminiVerb(call)
	if strings.HasPrefix(name, "tunedModels/") {
		base = strings.TrimSuffix(base, "/models")
	}
	var escaped strings.Builder
	escaped.WriteString(base)
	for segment := range strings.SplitSeq(name, "/") {
		escaped.WriteByte('/')
		switch segment {
		case ".", "..":
			escaped.WriteString(strings.ReplaceAll(segment, ".", "%2E")) // a name, not a way
		default:
			escaped.WriteString(url.PathEscape(segment))
		}
	}
	escaped.WriteString(verb)
	u.RawPath = escaped.String()
	u.Path, _ = url.PathUnescape(u.RawPath) // cannot fail: it was escaped here
	if plain := (&url.URL{Path: u.Path}).EscapedPath(); plain == u.RawPath {
		u.RawPath = ""
	}
	if call.Stream {
		u.RawQuery = "alt=sse"
	}
	return &u
}

// modelList is where the models are listed: beside the endpoint of the format. It
// is false if the endpoint's path is not the usual one, so that nobody knows.
func (e *endpoint) modelList(f format.ID) (*url.URL, bool) {
	u, path := *e.url, e.url.EscapedPath()
	if f != format.Gemini && f != format.GeminiEmbeddings {
		parent, ok := strings.CutSuffix(path, "/"+strings.Join(segments(formatPaths[f])[1:], "/"))
		if !ok {
			return nil, false
		}
		path = parent + "/models"
	}
	plain, err := url.PathUnescape(path)
	if err != nil {
		return nil, false
	}
	u.Path, u.RawPath = plain, path
	if (&url.URL{Path: plain}).EscapedPath() == path {
		u.RawPath = ""
	}
	return &u, true
}

// geminiVerb is what is asked of a model.
func geminiVerb(call *Call) string {
	switch {
	case call.Verb != "":
		return call.Verb
	case call.Operation == format.OperationCountTokens:
		return "countTokens"
	case call.Operation == format.OperationEmbed:
		return "embedContent"
	case call.Stream:
		return "streamGenerateContent"
	default:
		return "generateContent"
	}
}
