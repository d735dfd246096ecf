package litellm

import (
	"slices"
	"strings"
)

// provider is what LiteLLM calls a provider, and its counterpart.
type provider struct {
	// preset is the gateway's preset; "" for a server that is told by its address.
	preset string
	// key is the variable that LiteLLM reads the key from where none is given; "" for
	// a service that needs none.
	key string
	// address is the variable that LiteLLM reads the address from where none is
	// given, for a service without an address of its own.
	address string
	// format is the one format that this name of the provider stands for; "" for any.
	format string
	// why says why there is no counterpart.
	why string
}

const (
	later  = "the gateway has no credentials of this kind yet; serve the model by another upstream until it has"
	noKind = "the gateway does not speak this provider's API; if the service also has an OpenAI-compatible address, declare an upstream with that address"
)

// providers are the names of LiteLLM's providers that lead somewhere, or for which
// there is more to say than that they do not.
var providers = map[string]provider{
	"openai":                 {preset: "openai", key: "OPENAI_API_KEY"},
	"text-completion-openai": {preset: "openai", key: "OPENAI_API_KEY", format: "openai_completions"},
	"azure":                  {preset: "azure_openai", key: "AZURE_API_KEY", address: "AZURE_API_BASE"},
	"anthropic":              {preset: "anthropic", key: "ANTHROPIC_API_KEY"},
	"gemini":                 {preset: "gemini", key: "GEMINI_API_KEY"},
	"groq":                   {preset: "groq", key: "GROQ_API_KEY"},
	"mistral":                {preset: "mistral", key: "MISTRAL_API_KEY"},
	"deepseek":               {preset: "deepseek", key: "DEEPSEEK_API_KEY"},
	"xai":                    {preset: "xai", key: "XAI_API_KEY"},
	"openrouter":             {preset: "openrouter", key: "OPENROUTER_API_KEY"},
	"together_ai":            {preset: "together", key: "TOGETHERAI_API_KEY"},
	"fireworks_ai":           {preset: "fireworks", key: "FIREWORKS_AI_API_KEY"},
	"cerebras":               {preset: "cerebras", key: "CEREBRAS_API_KEY"},
	"perplexity":             {preset: "perplexity", key: "PERPLEXITYAI_API_KEY"},
	"ollama":                 {preset: "ollama"},
	"ollama_chat":            {preset: "ollama"},
	"hosted_vllm":            {preset: "vllm"},
	"lm_studio":              {preset: "lmstudio"},

	"openai_like":   {address: "OPENAI_LIKE_API_BASE"},
	"custom_openai": {},
	"litellm_proxy": {key: "LITELLM_PROXY_API_KEY", address: "LITELLM_PROXY_API_BASE"},

	"bedrock":          {why: later},
	"bedrock_converse": {why: later},
	"sagemaker":        {why: later},
	"sagemaker_chat":   {why: later},
	"vertex_ai":        {why: later + "; Gemini with a key is provider gemini"},
	"vertex_ai_beta":   {why: later + "; Gemini with a key is provider gemini"},
	"azure_ai":         {why: "the gateway has no preset for Azure AI Foundry; declare an upstream with the address of its OpenAI-compatible endpoint"},
	"auto_router":      {why: "the gateway does not choose models by content"},
}

// compatible is a server that is told by its address alone: OpenAI-compatible.
var compatible = provider{key: "OPENAI_API_KEY"}

// providerOf finds the provider of a model, and the name that the provider has for it.
// A name in front of a slash that is not in the table may be a provider or the maker of
// a model, as in meta-llama/llama-3; neither leads anywhere.
func providerOf(model, custom string) (p provider, name, rest string, ok bool) {
	if custom != "" {
		p, ok = providers[custom]
		return p, custom, strings.TrimPrefix(model, custom+"/"), ok
	}
	if prefix, rest, cut := strings.Cut(model, "/"); cut {
		if p, ok = providers[prefix]; ok {
			return p, prefix, rest, true
		}
		return provider{}, prefix, rest, false
	}
	if name = makerOf(model); name == "" {
		return provider{}, "", model, false
	}
	return providers[name], name, model, true
}

// makers are the beginnings of names that LiteLLM knows without a provider.
var makers = []struct {
	provider string
	starts   []string
}{
	{"openai", []string{"gpt-", "chatgpt-", "o1", "o3", "o4", "ft:gpt-", "text-embedding-", "dall-e-", "whisper-", "tts-", "omni-moderation-"}},
	{"anthropic", []string{"claude-"}},
	{"vertex_ai", []string{"gemini-"}},
}

// makerOf is the provider of a name that names none; "" if it is not known.
func makerOf(model string) string {
	for _, m := range makers {
		if slices.ContainsFunc(m.starts, func(start string) bool { return strings.HasPrefix(model, start) }) {
			return m.provider
		}
	}
	return ""
}

// task is what a mode of LiteLLM stands for.
type task struct {
	// operation is what the model may be asked for; "" for all.
	operation string
	// format is the one that the upstream is spoken to in; "" for any.
	format string
	// formats are those that serve it at a server that is told by its address.
	formats []string
}

// tasks are the modes that have a counterpart.
var tasks = map[string]task{
	"":                    {},
	"chat":                {},
	"responses":           {format: "openai_responses", formats: []string{"openai_responses"}},
	"completion":          {operation: "complete", formats: []string{"openai_completions"}},
	"embedding":           {operation: "embed"},
	"image_generation":    {operation: "image_generate", formats: []string{"openai_images"}},
	"image_edit":          {operation: "image_edit", formats: []string{"openai_images"}},
	"audio_transcription": {operation: "audio_transcribe", formats: []string{"openai_audio"}},
	"audio_speech":        {operation: "audio_speech", formats: []string{"openai_audio"}},
	"rerank":              {operation: "rerank", formats: []string{"rerank"}},
}
