package upstream

import (
	"slices"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// methods are what Google's lists name in supportedGenerationMethods.
// https://ai.google.dev/api/models
var methods = map[string]format.Operation{
	"generateContent":    format.OperationChat,
	"countTokens":        format.OperationCountTokens,
	"embedContent":       format.OperationEmbed,
	"batchEmbedContents": format.OperationEmbed,
	"predict":            format.OperationImageGenerate,
}

// kinds are what other lists say in "type" (https://docs.together.ai/reference/models,
// https://lmstudio.ai/docs/developer/rest/endpoints).
var kinds = map[string]format.Operation{
	"chat":       format.OperationChat,
	"llm":        format.OperationChat,
	"vlm":        format.OperationChat,
	"language":   format.OperationComplete,
	"embedding":  format.OperationEmbed,
	"embeddings": format.OperationEmbed,
	"image":      format.OperationImageGenerate,
	"rerank":     format.OperationRerank,
	"transcribe": format.OperationAudioTranscribe,
}

// nameParts are what names of models hold that are for something else than chat.
// The first that fits counts; no operation means that ours has none of that kind.
var nameParts = []struct {
	part       string
	operations []format.Operation
}{
	{"realtime", nil},
	{"moderation", nil},
	{"rerank", []format.Operation{format.OperationRerank}},
	{"embed", []format.Operation{format.OperationEmbed}},
	{"bge-", []format.Operation{format.OperationEmbed}},
	{"transcribe", []format.Operation{format.OperationAudioTranscribe}},
	{"whisper", []format.Operation{format.OperationAudioTranscribe}},
	{"tts", []format.Operation{format.OperationAudioSpeech}},
	{"gpt-image", []format.Operation{format.OperationImageGenerate, format.OperationImageEdit}},
	{"dall-e", []format.Operation{format.OperationImageGenerate}},
	{"imagen-", []format.Operation{format.OperationImageGenerate}},
	{"stable-diffusion", []format.Operation{format.OperationImageGenerate}},
	{"gpt-3.5-turbo-instruct", []format.Operation{format.OperationComplete}},
	{"davinci-", []format.Operation{format.OperationComplete}},
	{"babbage-", []format.Operation{format.OperationComplete}},
}

// guessOperations guesses what a model is for: from what its entry says, or else
// from its name. It answers none if it cannot tell.
func guessOperations(entry tape.Value, name string) []format.Operation {
	var found []format.Operation
	note := func(op format.Operation, ok bool) {
		if ok && !slices.Contains(found, op) {
			found = append(found, op)
		}
	}
	for method := range entry.Get("supportedGenerationMethods").Elements {
		op, ok := methods[method.Text()]
		note(op, ok)
	}
	op, ok := kinds[entry.Get("type").Text()]
	note(op, ok)
	if found != nil {
		return found
	}
	return operationsOf(name)
}

// operationsOf guesses from the name alone.
func operationsOf(name string) []format.Operation {
	lower := strings.ToLower(name)
	for _, known := range nameParts {
		if strings.Contains(lower, known.part) {
			return slices.Clone(known.operations)
		}
	}
	if capability.Of(name) != (capability.Model{}) {
		return []format.Operation{format.OperationChat}
	}
	return nil
}
