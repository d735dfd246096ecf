package upstream

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// preset is what is known of a provider. Facts are taken from the page that its
// entry names; "Bearer" is the kind of credential unless an entry says
// otherwise.
type preset struct {
	name string
	// url is the origin; the paths hold the rest, so that a base URL may be
	// spelled with or without any part of them. Empty: the operator must say.
	url   string
	paths []formatPath // preferred first
	// header is the header that carries the key; empty for a bearer token.
	header string
	// protocol is the transport, if it is not http.
	protocol string
	quirks   quirks
}

// formatPath is where a provider has a format. A format that is only an option
// is spoken if the configuration says so.
type formatPath struct {
	format format.ID
	path   string
	option bool
}

// demoProtocol is the transport of the built-in upstream.
const demoProtocol = "ai_gateway_demo"

var presets = []*preset{
	{
		// https://platform.openai.com/docs/api-reference/chat: POST
		// https://api.openai.com/v1/chat/completions, Authorization: Bearer;
		// max_tokens is deprecated in favour of max_completion_tokens.
		// https://platform.openai.com/docs/api-reference/responses: POST /v1/responses.
		// The same reference has /v1/embeddings, /v1/images, /v1/audio and the legacy
		// /v1/completions.
		name: "openai",
		url:  "https://api.openai.com",
		paths: []formatPath{
			{format: format.OpenAIChat, path: "/v1/chat/completions"},
			{format: format.OpenAIResponses, path: "/v1/responses"},
			{format: format.OpenAIEmbeddings, path: "/v1/embeddings"},
			{format: format.OpenAIImages, path: "/v1/images"},
			{format: format.OpenAIAudio, path: "/v1/audio"},
			{format: format.OpenAICompletions, path: "/v1/completions"},
		},
		quirks: quirks{cacheMarks: true},
	},
	{
		// https://docs.anthropic.com/en/api/messages: POST
		// https://api.anthropic.com/v1/messages, x-api-key, anthropic-version.
		name:   "anthropic",
		url:    "https://api.anthropic.com",
		paths:  []formatPath{{format: format.AnthropicMessages, path: "/v1/messages"}},
		header: "X-Api-Key",
	},
	{
		// https://ai.google.dev/api/generate-content: POST
		// https://generativelanguage.googleapis.com/v1beta/models/MODEL:generateContent,
		// x-goog-api-key. https://ai.google.dev/gemini-api/docs/openai: the
		// OpenAI-compatible address is under /v1beta/openai/, with Authorization:
		// Bearer. There is no /v1/openai. https://ai.google.dev/api/embeddings: POST
		// /v1beta/models/MODEL:embedContent and :batchEmbedContents.
		name: "gemini",
		url:  "https://generativelanguage.googleapis.com",
		paths: []formatPath{
			{format: format.Gemini, path: "/v1beta/models"},
			{format: format.GeminiEmbeddings, path: "/v1beta/models"},
			{format: format.OpenAIChat, path: "/v1beta/openai/chat/completions", option: true},
			{format: format.OpenAIEmbeddings, path: "/v1beta/openai/embeddings", option: true},
		},
		header: "X-Goog-Api-Key",
		quirks: quirks{pinnedVersion: true},
	},
	{
		// https://openrouter.ai/docs/quickstart: https://openrouter.ai/api/v1,
		// Authorization: Bearer. https://openrouter.ai/docs/guides/guides/claude-code-integration:
		// ANTHROPIC_BASE_URL=https://openrouter.ai/api with ANTHROPIC_AUTH_TOKEN,
		// that is POST /api/v1/messages with a bearer token.
		// https://openrouter.ai/docs/api-reference/responses-api/overview: POST
		// /api/v1/responses, without state.
		// https://openrouter.ai/docs/guides/best-practices/reasoning-tokens:
		// reasoning_details go back as they came.
		name: "openrouter",
		url:  "https://openrouter.ai",
		paths: []formatPath{
			{format: format.OpenAIChat, path: "/api/v1/chat/completions"},
			{format: format.AnthropicMessages, path: "/api/v1/messages"},
			{format: format.OpenAIResponses, path: "/api/v1/responses"},
		},
		quirks: quirks{noDeveloperRole: true, detailsBack: true},
	},
	{
		// https://console.groq.com/docs/openai: base URL
		// https://api.groq.com/openai/v1. max_completion_tokens is in the
		// specification of its API (github.com/groq/groq-python, pull request 175).
		// https://console.groq.com/docs/responses-api: POST /openai/v1/responses.
		name: "groq",
		url:  "https://api.groq.com",
		paths: []formatPath{
			{format: format.OpenAIChat, path: "/openai/v1/chat/completions"},
			{format: format.OpenAIResponses, path: "/openai/v1/responses"},
		},
		quirks: quirks{noDeveloperRole: true},
	},
	{
		// https://docs.mistral.ai/api/: POST https://api.mistral.ai/v1/chat/completions.
		// It answers 422 to fields it does not know, among them
		// max_completion_tokens (github.com/editor-code-assistant/eca issue 231) and
		// stream_options.include_usage (github.com/openai/openai-agents-python issue
		// 442); usage comes in streams without being asked for. The same reference has
		// POST /v1/embeddings.
		name: "mistral",
		url:  "https://api.mistral.ai",
		paths: []formatPath{
			{format: format.OpenAIChat, path: "/v1/chat/completions"},
			{format: format.OpenAIEmbeddings, path: "/v1/embeddings"},
		},
		quirks: quirks{legacyMaxTokens: true, noStreamOptions: true, noDeveloperRole: true},
	},
	{
		// https://api-docs.deepseek.com/: base URL https://api.deepseek.com, and
		// /v1 is taken too; max_tokens is the documented field.
		// https://api-docs.deepseek.com/guides/anthropic_api: base URL
		// https://api.deepseek.com/anthropic, with x-api-key or a bearer token
		// (ANTHROPIC_AUTH_TOKEN).
		// https://api-docs.deepseek.com/guides/thinking_mode: reasoning_content goes back
		// within a tool loop.
		name: "deepseek",
		url:  "https://api.deepseek.com",
		paths: []formatPath{
			{format: format.OpenAIChat, path: "/chat/completions"},
			{format: format.AnthropicMessages, path: "/anthropic/v1/messages"},
		},
		quirks: quirks{legacyMaxTokens: true, noDeveloperRole: true, reasoningBack: true},
	},
	{
		// https://docs.x.ai/api/integrations: base URL https://api.x.ai/v1. Its
		// /v1/messages is deprecated and left out for that.
		// https://docs.x.ai/docs/api-reference: POST /v1/responses.
		name: "xai",
		url:  "https://api.x.ai",
		paths: []formatPath{
			{format: format.OpenAIChat, path: "/v1/chat/completions"},
			{format: format.OpenAIResponses, path: "/v1/responses"},
		},
		quirks: quirks{noDeveloperRole: true},
	},
	{
		// https://docs.together.ai/docs/inference/openai-compatibility: base URL
		// https://api.together.ai/v1; max_tokens is the documented field.
		name:   "together",
		url:    "https://api.together.ai",
		paths:  []formatPath{{format: format.OpenAIChat, path: "/v1/chat/completions"}},
		quirks: quirks{legacyMaxTokens: true, noDeveloperRole: true},
	},
	{
		// https://docs.fireworks.ai/tools-sdks/openai-compatibility: base URL
		// https://api.fireworks.ai/inference/v1; max_tokens is the documented field.
		// https://docs.fireworks.ai/tools-sdks/anthropic-compatibility: base URL
		// https://api.fireworks.ai/inference, POST /v1/messages; for Claude Code a
		// bearer token (ANTHROPIC_AUTH_TOKEN).
		// https://docs.fireworks.ai/guides/response-api: POST /inference/v1/responses.
		name: "fireworks",
		url:  "https://api.fireworks.ai",
		paths: []formatPath{
			{format: format.OpenAIChat, path: "/inference/v1/chat/completions"},
			{format: format.AnthropicMessages, path: "/inference/v1/messages"},
			{format: format.OpenAIResponses, path: "/inference/v1/responses"},
		},
		quirks: quirks{legacyMaxTokens: true, noDeveloperRole: true},
	},
	{
		// https://inference-docs.cerebras.ai/resources/openai: base URL
		// https://api.cerebras.ai/v1; max_completion_tokens is the documented field.
		name:   "cerebras",
		url:    "https://api.cerebras.ai",
		paths:  []formatPath{{format: format.OpenAIChat, path: "/v1/chat/completions"}},
		quirks: quirks{noDeveloperRole: true},
	},
	{
		// https://docs.perplexity.ai/guides/chat-completions-guide: base URL
		// https://api.perplexity.ai, without a version; max_tokens. The release
		// notes of @ai-sdk/perplexity 3.1.0 (github.com/vercel/ai) say that this API
		// ended on 2026-09-27; that page still describes it.
		name:   "perplexity",
		url:    "https://api.perplexity.ai",
		paths:  []formatPath{{format: format.OpenAIChat, path: "/chat/completions"}},
		quirks: quirks{legacyMaxTokens: true, noDeveloperRole: true},
	},
	{
		// https://learn.microsoft.com/en-us/azure/ai-foundry/openai/latest: POST
		// {endpoint}/openai/v1/chat/completions, api-key, api-version not required.
		// The endpoint is the operator's own: https://NAME.openai.azure.com.
		// The same page has POST {endpoint}/openai/v1/responses.
		name: "azure_openai",
		paths: []formatPath{
			{format: format.OpenAIChat, path: "/openai/v1/chat/completions"},
			{format: format.OpenAIResponses, path: "/openai/v1/responses"},
		},
		header: "Api-Key",
		quirks: quirks{cacheMarks: true},
	},
	{
		// https://docs.ollama.com/api/openai-compatibility: http://localhost:11434/v1,
		// no key; max_tokens is the documented field.
		// https://docs.ollama.com/api/anthropic-compatibility: base URL
		// http://localhost:11434, POST /v1/messages; its cloud takes a bearer token.
		// The first page also has /v1/responses, without state, /v1/embeddings and
		// /v1/completions.
		name: "ollama",
		url:  "http://localhost:11434",
		paths: []formatPath{
			{format: format.OpenAIChat, path: "/v1/chat/completions"},
			{format: format.AnthropicMessages, path: "/v1/messages"},
			{format: format.OpenAIResponses, path: "/v1/responses"},
			{format: format.OpenAIEmbeddings, path: "/v1/embeddings"},
			{format: format.OpenAICompletions, path: "/v1/completions"},
		},
		quirks: quirks{legacyMaxTokens: true, noDeveloperRole: true},
	},
	{
		// https://docs.vllm.ai/en/stable/serving/openai_compatible_server/: port
		// 8000, /v1/chat/completions, --api-key is a bearer token.
		// https://docs.vllm.ai/en/stable/serving/integrations/claude_code/: the same
		// server speaks the Anthropic Messages API at /v1/messages.
		// https://docs.vllm.ai/en/stable/serving/online_serving.html also has
		// /v1/responses, /v1/completions, /v1/embeddings, /v1/audio/transcriptions and
		// /v1/audio/translations, and /v1/rerank.
		name: "vllm",
		url:  "http://localhost:8000",
		paths: []formatPath{
			{format: format.OpenAIChat, path: "/v1/chat/completions"},
			{format: format.AnthropicMessages, path: "/v1/messages"},
			{format: format.OpenAIResponses, path: "/v1/responses"},
			{format: format.OpenAIEmbeddings, path: "/v1/embeddings"},
			{format: format.OpenAICompletions, path: "/v1/completions"},
			{format: format.OpenAIAudio, path: "/v1/audio"},
			{format: format.Rerank, path: "/v1/rerank"},
		},
		quirks: quirks{noDeveloperRole: true},
	},
	{
		// https://lmstudio.ai/docs/developer/openai-compat/chat-completions: port
		// 1234, /v1/chat/completions; max_tokens is the documented field.
		// https://lmstudio.ai/docs/developer/anthropic-compat: /v1/messages, with
		// x-api-key or a bearer token where authentication is on.
		// https://lmstudio.ai/docs/developer/openai-compat also has /v1/responses,
		// /v1/embeddings and /v1/completions.
		name: "lmstudio",
		url:  "http://localhost:1234",
		paths: []formatPath{
			{format: format.OpenAIChat, path: "/v1/chat/completions"},
			{format: format.AnthropicMessages, path: "/v1/messages"},
			{format: format.OpenAIResponses, path: "/v1/responses"},
			{format: format.OpenAIEmbeddings, path: "/v1/embeddings"},
			{format: format.OpenAICompletions, path: "/v1/completions"},
		},
		quirks: quirks{legacyMaxTokens: true, noDeveloperRole: true},
	},
	{
		// Our own: answers without any network. The host is one that RFC 6761
		// promises never to exist, should another transport ever see it.
		name: "demo",
		url:  "http://demo.invalid",
		paths: []formatPath{
			{format: format.OpenAIChat, path: "/v1/chat/completions"},
			{format: format.AnthropicMessages, path: "/v1/messages"},
			{format: format.OpenAIResponses, path: "/v1/responses"},
			{format: format.Gemini, path: "/v1beta/models"},
		},
		protocol: demoProtocol,
	},
}

// Providers lists the names of the provider presets, sorted.
func Providers() []string {
	names := make([]string, len(presets))
	for i, p := range presets {
		names[i] = p.name
	}
	slices.Sort(names)
	return names
}

// PresetCredential is the configuration of a credential of the kind that the
// provider takes. One that is not known takes what the first of its formats has for
// keys, which is a bearer token for most formats and without one.
func PresetCredential(provider, value string, formats ...format.ID) json.RawMessage {
	header := ""
	if p, ok := findPreset(provider); ok {
		header = p.header
	} else if len(formats) > 0 {
		header = keyHeaderOf(formats[0])
	}
	var credential any = struct {
		Type  string `json:"type"`
		Token string `json:"token"`
	}{"bearer", value}
	if header != "" {
		credential = struct {
			Type  string `json:"type"`
			Name  string `json:"name"`
			Value string `json:"value"`
		}{"header", header, value}
	}
	raw, err := json.Marshal(credential)
	if err != nil { // not possible: strings only
		return nil
	}
	return raw
}

// findPreset finds a preset by name; hyphens stand for underscores.
func findPreset(name string) (*preset, bool) {
	name = strings.ReplaceAll(name, "-", "_")
	for _, p := range presets {
		if p.name == name {
			return p, true
		}
	}
	return nil, false
}

// formats lists the formats that the preset speaks unless it is told otherwise,
// preferred first.
func (p *preset) formats() []format.ID {
	ids := make([]format.ID, 0, len(p.paths))
	for _, fp := range p.paths {
		if !fp.option {
			ids = append(ids, fp.format)
		}
	}
	return ids
}

// path is the path of a format; p may be nil.
func (p *preset) path(f format.ID) string {
	if p != nil {
		for _, fp := range p.paths {
			if fp.format == f {
				return fp.path
			}
		}
	}
	return formatPaths[f]
}

// isHost says whether a host is the provider's own. A provider whose address
// the operator must give is wherever the operator says.
func (p *preset) isHost(host string) bool {
	if p.url == "" {
		return true
	}
	base, err := parseBase(p.url)
	return err == nil && strings.EqualFold(base.Hostname(), host)
}

// quirksOf are the quirks of a service: those of its preset, or without one
// those of the provider whose host it is. Of other servers the older field
// names are expected, for many know no other.
func quirksOf(known *preset, host string) quirks {
	if known != nil {
		return known.quirks
	}
	if strings.HasSuffix(host, ".openai.azure.com") {
		return quirks{}
	}
	for _, p := range presets {
		if p.url != "" && host != "localhost" && p.isHost(host) {
			return p.quirks
		}
	}
	return quirks{legacyMaxTokens: true, noDeveloperRole: true}
}

// protocolName is the name of a raw transport module.
type protocolName struct {
	Protocol string `json:"protocol"`
}

// protocolOf reads the protocol of a raw transport; "http" if there is none.
func protocolOf(raw json.RawMessage) (string, error) {
	if len(raw) == 0 {
		return "http", nil
	}
	var name protocolName
	if err := json.Unmarshal(raw, &name); err != nil {
		return "", err
	}
	return name.Protocol, nil
}
