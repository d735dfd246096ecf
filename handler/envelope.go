package handler

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

const (
	// maxModelName bounds the names clients may ask for, in bytes.
	maxModelName = 256
	// maxMessages bounds a conversation, maxItems one whose calls and results are
	// entries of their own.
	maxMessages = 4096
	maxItems    = 4 * maxMessages
	maxTools    = 1024
)

// envelope is what routing needs of a request: read in one walk over the
// members of the body's object.
type envelope struct {
	// model is what the client asks for; "" if it leaves that to the gateway.
	model  string
	stream bool
	// modelAt is where the model's name stands in the body; absent if the path
	// names it, or nothing does.
	modelAt tape.Value
	// unnamed says that the body should name the model and does not.
	unnamed bool
	// defaulted says that the model is the site's default, whatever the body says.
	defaulted bool
	// streamAt and optionsAt are the members stream and stream_options.
	streamAt, optionsAt tape.Value
	// usage says that the client asked for token counts in a Chat stream.
	usage bool
	// tools says that the request defines tools, effort that it asks for
	// reasoning.
	tools, effort bool
	// thread says that the request opens or continues a message thread of
	// Anthropic's.
	thread bool
	// previous is the response that the request continues, if it names one.
	previous string
	// cacheKey is the prompt_cache_key of OpenAI's formats.
	cacheKey string
	// trace says that the request leaves a trace at its upstream, or needs one.
	trace bool
	// forbidden says that there are members that no client may send on: see
	// neverForwarded.
	forbidden bool
}

// neverForwarded are fields with which other gateways let clients choose
// addresses and credentials; an upstream that is such a gateway must not see
// them.
var neverForwarded = map[string]bool{
	"api_base": true, "base_url": true, "api_key": true, "extra_headers": true,
	"api_version": true, "custom_llm_provider": true,
}

// member is a field of a chat request that the gateway looks at.
type member int

const (
	memberModel member = iota
	memberStream
	memberOptions
	memberContent
	memberTools
	memberEffort
	memberStore
	memberPrevious
	memberBackground
	memberConversation
	memberThread
	memberCacheKey
	memberCount
)

// members are the values of the fields; absent ones are zero.
type members [memberCount]tape.Value

// memberNames are the names of the fields per format. Gemini has the model and
// the stream in its path.
var memberNames = map[format.ID][]struct {
	name   string
	member member
}{
	format.OpenAIChat: {
		{"model", memberModel},
		{"stream", memberStream},
		{"messages", memberContent},
		{"tools", memberTools},
		{"stream_options", memberOptions},
		{"reasoning_effort", memberEffort},
		{"prompt_cache_key", memberCacheKey},
	},
	format.OpenAIResponses: {
		{"model", memberModel},
		{"stream", memberStream},
		{"input", memberContent},
		{"tools", memberTools},
		{"store", memberStore},
		{"previous_response_id", memberPrevious},
		{"background", memberBackground},
		{"conversation", memberConversation},
		{"prompt_cache_key", memberCacheKey},
	},
	format.AnthropicMessages: {
		{"model", memberModel},
		{"stream", memberStream},
		{"messages", memberContent},
		{"tools", memberTools},
		{"thread", memberThread},
	},
	format.Gemini: {
		{"contents", memberContent},
		{"tools", memberTools},
	},
	format.OpenAICompletions: {
		{"model", memberModel},
		{"stream", memberStream},
		{"stream_options", memberOptions},
	},
	format.OpenAIImages: {
		{"model", memberModel},
		{"stream", memberStream},
	},
	format.OpenAIEmbeddings: {{"model", memberModel}},
	format.OpenAIAudio:      {{"model", memberModel}},
	format.Rerank:           {{"model", memberModel}},
}

// readEnvelope reads the envelope of a request and refuses what no upstream
// could answer.
func readEnvelope(ep *format.Endpoint, root tape.Value) (envelope, error) {
	var env envelope
	var m members
	if root.Kind() != tape.Object {
		return env, chat.Invalid("", "the request body must be a JSON object")
	}
	known := memberNames[ep.Format]
	for key, value := range root.Members {
		found := false
		for i := range known {
			if !key.Is(known[i].name) {
				continue
			}
			if m[known[i].member].Exists() {
				return env, chat.Invalid(known[i].name, fmt.Sprintf("the field %q stands twice in the request", known[i].name))
			}
			m[known[i].member], found = value, true
			break
		}
		env.forbidden = env.forbidden || (!found && isForbidden(key))
	}
	if err := env.setModel(ep, m[memberModel]); err != nil {
		return env, err
	}
	if err := env.setStream(ep, &m); err != nil {
		return env, err
	}
	env.tools = m[memberTools].Len() > 0
	env.effort = present(m[memberEffort]) && !m[memberEffort].Is("none")
	env.previous = m[memberPrevious].Text()
	env.cacheKey = m[memberCacheKey].Text()
	env.thread = present(m[memberThread])
	env.trace = m[memberStore].Bool() || m[memberBackground].Bool() || present(m[memberPrevious]) || present(m[memberConversation])
	return env, checkContent(ep, &m)
}

// present says that a value stands there and is not null: null means absent.
func present(v tape.Value) bool { return v.Kind() > tape.Null }

// setModel reads the model's name.
func (env *envelope) setModel(ep *format.Endpoint, at tape.Value) error {
	if ep.InPath() {
		return env.setPathModel(ep.Model)
	}
	env.modelAt = at
	switch at.Kind() {
	case tape.String:
		return env.setName(at.Text())
	case tape.Absent:
		env.unnamed = true
		return nil
	case tape.Null:
		return nil
	default:
		return chat.Invalid("model", `the field "model" must be a string`)
	}
}

// setName takes the model's name from the body.
func (env *envelope) setName(name string) error {
	env.model = name
	return env.checkModel()
}

// setPathModel takes the model's name from a path.
func (env *envelope) setPathModel(escaped string) error {
	name, err := url.PathUnescape(escaped)
	if err != nil {
		return chat.Invalid("model", "the model's name in the path is not escaped as URLs want it")
	}
	env.model = strings.TrimPrefix(name, "models/")
	return env.checkModel()
}

func (env *envelope) checkModel() error {
	if len(env.model) > maxModelName || !utf8.ValidString(env.model) || strings.IndexFunc(env.model, unicode.IsControl) >= 0 {
		return chat.Invalid("model", "a model name has at most 256 bytes and no control characters")
	}
	return nil
}

// setStream reads whether a stream is wanted, and whether with token counts.
func (env *envelope) setStream(ep *format.Endpoint, m *members) error {
	env.stream, env.streamAt, env.optionsAt = ep.Stream, m[memberStream], m[memberOptions]
	switch m[memberStream].Kind() {
	case tape.True:
		env.stream = true
	case tape.Absent, tape.Null, tape.False:
	default:
		return chat.Invalid("stream", `the field "stream" must be true or false`)
	}
	if m[memberOptions].Kind() == tape.Object {
		env.usage = m[memberOptions].Get("include_usage").Bool()
	}
	return nil
}

// contentNames are the names of the conversation.
var contentNames = map[format.ID]string{
	format.OpenAIChat:        "messages",
	format.OpenAIResponses:   "input",
	format.AnthropicMessages: "messages",
	format.Gemini:            "contents",
}

// checkContent refuses what can never be valid, whatever the upstream.
func checkContent(ep *format.Endpoint, m *members) error {
	name, most := contentNames[ep.Format], maxMessages
	if name == "" {
		return nil // no conversation
	}
	kind, length := m[memberContent].Kind(), m[memberContent].Len()
	switch ep.Format {
	case format.OpenAIResponses:
		most = maxItems
		stored := present(m[memberPrevious]) || present(m[memberConversation])
		if kind != tape.String && kind != tape.Array && !(kind <= tape.Null && stored) {
			return chat.Invalid(name, `the field "input" must be a string or an array`)
		}
	case format.Gemini:
		if kind != tape.Object && (kind != tape.Array || length == 0) {
			return chat.Invalid(name, `the field "contents" must be an array with at least one content`)
		}
	default:
		if kind != tape.Array || length == 0 {
			return chat.Invalid(name, fmt.Sprintf("the field %q must be an array with at least one message", name))
		}
	}
	if kind == tape.Array && length > most {
		return chat.Invalid(name, fmt.Sprintf("a request has at most %d %s", most, entriesOf(ep.Format)))
	}
	if k := m[memberTools].Kind(); k != tape.Absent && k != tape.Null && k != tape.Array && (k != tape.Object || ep.Format != format.Gemini) {
		return chat.Invalid("tools", `the field "tools" must be an array`)
	}
	if m[memberTools].Kind() == tape.Array && m[memberTools].Len() > maxTools {
		return chat.Invalid("tools", fmt.Sprintf("a request has at most %d tools", maxTools))
	}
	return nil
}

// entriesOf is what the parts of a conversation are called.
func entriesOf(id format.ID) string {
	switch id {
	case format.OpenAIResponses:
		return "input items"
	case format.Gemini:
		return "contents"
	default:
		return "messages"
	}
}

// isForbidden says that a member with this key is never sent on.
func isForbidden(key tape.Value) bool {
	raw := chat.Literal(key.Raw())
	if bytes.IndexByte(raw, '\\') >= 0 {
		return neverForwarded[raw.String()]
	}
	return neverForwarded[string(raw.Inner())]
}
