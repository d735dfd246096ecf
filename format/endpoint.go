package format

import "strings"

// Endpoint is what a client-facing path stands for.
type Endpoint struct {
	// Format is the client's format; it decides the shape of answers and errors.
	Format ID
	// Operation is what the client asks for; "" for a path below a format's own
	// root that is not served, which is answered with a 404 of that format.
	Operation Operation
	// Name labels the endpoint in logs and metrics.
	Name string
	// Method is the one method the path takes.
	Method string
	// Model is the model named in the path, still escaped; "" if there is none.
	Model string
	// Verb is what a Gemini path asks of its model, such as embedContent; "" in
	// other formats.
	Verb string
	// Stream says that the path itself asks for a stream.
	Stream bool
}

// InPath says that the path names the model, so that the body does not.
func (e *Endpoint) InPath() bool { return e.Verb != "" }

var endpoints = map[string]Endpoint{
	"/chat/completions":       {Format: OpenAIChat, Operation: OperationChat, Name: "chat", Method: "POST"},
	"/responses":              {Format: OpenAIResponses, Operation: OperationChat, Name: "responses", Method: "POST"},
	"/responses/input_tokens": {Format: OpenAIResponses, Operation: OperationCountTokens, Name: "input_tokens", Method: "POST"},
	"/messages":               {Format: AnthropicMessages, Operation: OperationChat, Name: "messages", Method: "POST"},
	"/messages/count_tokens":  {Format: AnthropicMessages, Operation: OperationCountTokens, Name: "count_tokens", Method: "POST"},
	"/completions":            {Format: OpenAICompletions, Operation: OperationComplete, Name: "completions", Method: "POST"},
	"/embeddings":             {Format: OpenAIEmbeddings, Operation: OperationEmbed, Name: "embeddings", Method: "POST"},
	"/images/generations":     {Format: OpenAIImages, Operation: OperationImageGenerate, Name: "images", Method: "POST"},
	"/images/edits":           {Format: OpenAIImages, Operation: OperationImageEdit, Name: "image_edits", Method: "POST"},
	"/audio/speech":           {Format: OpenAIAudio, Operation: OperationAudioSpeech, Name: "speech", Method: "POST"},
	"/audio/transcriptions":   {Format: OpenAIAudio, Operation: OperationAudioTranscribe, Name: "transcriptions", Method: "POST"},
	"/audio/translations":     {Format: OpenAIAudio, Operation: OperationAudioTranscribe, Name: "translations", Method: "POST"},
	"/rerank":                 {Format: Rerank, Operation: OperationRerank, Name: "rerank", Method: "POST"},
	"/models":                 {Format: OpenAIChat, Operation: OperationListModels, Name: "models", Method: "GET"},
}

// verbs are what Gemini's paths ask of a model
// (https://ai.google.dev/api/generate-content).
var verbs = map[string]Endpoint{
	"generateContent":       {Format: Gemini, Operation: OperationChat, Name: "gemini", Method: "POST"},
	"streamGenerateContent": {Format: Gemini, Operation: OperationChat, Name: "gemini", Method: "POST", Stream: true},
	"countTokens":           {Format: Gemini, Operation: OperationCountTokens, Name: "gemini_count_tokens", Method: "POST"},
	"embedContent":          {Format: GeminiEmbeddings, Operation: OperationEmbed, Name: "gemini_embeddings", Method: "POST"},
	"batchEmbedContents":    {Format: GeminiEmbeddings, Operation: OperationEmbed, Name: "gemini_embeddings", Method: "POST"},
}

// Match finds the endpoint of an escaped URL path, with or without the leading
// /v1, for Gemini also /v1beta. It does not allocate.
func Match(path string) (Endpoint, bool) {
	if below, ok := strings.CutPrefix(path, "/v1beta/"); ok {
		return matchGemini(below)
	}
	path = strings.TrimPrefix(path, "/v1")
	if ep, ok := endpoints[path]; ok {
		return ep, true
	}
	if !strings.HasPrefix(path, "/") {
		return Endpoint{}, false
	}
	if ep, ok := matchVerb(path[1:]); ok {
		return ep, true
	}
	if id, ok := strings.CutPrefix(path, "/models/"); ok && id != "" {
		ep := endpoints["/models"]
		ep.Model = id
		return ep, true
	}
	for _, root := range roots {
		if strings.HasPrefix(path, root) {
			ep := endpoints[root[:len(root)-1]]
			return Endpoint{Format: ep.Format, Name: "unserved"}, true
		}
	}
	return Endpoint{}, false
}

// roots are the paths with resources below them that hold what an upstream has
// stored: answers, batches. Nothing is stored here, and which upstream to ask is
// not known.
var roots = []string{"/responses/", "/messages/", "/chat/completions/"}

// matchGemini finds the endpoint of a path below Gemini's own root.
func matchGemini(path string) (Endpoint, bool) {
	if ep, ok := matchVerb(path); ok {
		return ep, true
	}
	list := endpoints["/models"]
	list.Format = Gemini
	if path == "models" {
		return list, true
	}
	if id, ok := strings.CutPrefix(path, "models/"); ok && id != "" {
		list.Model = id
		return list, true
	}
	return Endpoint{}, false
}

// matchVerb finds the endpoint of models/NAME:VERB and tunedModels/NAME:VERB. The
// name may hold slashes and colons.
func matchVerb(path string) (Endpoint, bool) {
	name, ok := strings.CutPrefix(path, "models/")
	if !ok {
		if !strings.HasPrefix(path, "tunedModels/") {
			return Endpoint{}, false
		}
		name = path
	}
	verb := ""
	if i := strings.LastIndexByte(name, ':'); i > 0 {
		name, verb = name[:i], name[i+1:]
	} else if i := strings.LastIndex(name, "%3A"); i > 0 {
		name, verb = name[:i], name[i+len("%3A"):]
	}
	ep, ok := verbs[verb]
	ep.Model, ep.Verb = name, verb
	return ep, ok
}
