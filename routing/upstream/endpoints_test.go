package upstream

import (
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// TestEndpointAddresses: the addresses of the operations that are no
// conversation, and that they share a base URL with the others.
func TestEndpointAddresses(t *testing.T) {
	const all = `"formats":["openai_chat","openai_completions","openai_embeddings","openai_images","openai_audio","gemini_embeddings","rerank"]`
	for _, tc := range []struct {
		name, config string
		call         Call
		want         string
	}{
		{"completions", `"base_url":"https://h"`, Call{Format: format.OpenAICompletions, Operation: format.OperationComplete}, "https://h/v1/completions"},
		{"completions beside a whole chat address", `"base_url":"https://h/v1/chat/completions"`, Call{Format: format.OpenAICompletions, Operation: format.OperationComplete}, "https://h/v1/completions"},
		{"whole address of completions", `"base_url":"https://h/v1/completions"`, Call{Format: format.OpenAICompletions, Operation: format.OperationComplete}, "https://h/v1/completions"},
		{"chat beside it", `"base_url":"https://h/v1/completions"`, Call{Format: format.OpenAIChat, Operation: format.OperationChat}, "https://h/v1/chat/completions"},
		{"embeddings", `"base_url":"https://h/v1"`, Call{Format: format.OpenAIEmbeddings, Operation: format.OperationEmbed}, "https://h/v1/embeddings"},
		{"images", `"base_url":"https://h/v1"`, Call{Format: format.OpenAIImages, Operation: format.OperationImageGenerate}, "https://h/v1/images/generations"},
		{"edits", `"base_url":"https://h"`, Call{Format: format.OpenAIImages, Operation: format.OperationImageEdit}, "https://h/v1/images/edits"},
		{"speech", `"base_url":"https://h/api/v2"`, Call{Format: format.OpenAIAudio, Operation: format.OperationAudioSpeech}, "https://h/api/v2/audio/speech"},
		{"transcriptions", `"base_url":"https://h"`, Call{Format: format.OpenAIAudio, Operation: format.OperationAudioTranscribe}, "https://h/v1/audio/transcriptions"},
		{"translations", `"base_url":"https://h"`, Call{Format: format.OpenAIAudio, Operation: format.OperationAudioTranscribe, Verb: "translations"}, "https://h/v1/audio/translations"},
		{"a prefix that is a word of ours", `"base_url":"https://h/audio"`, Call{Format: format.OpenAIChat, Operation: format.OperationChat}, "https://h/audio/v1/chat/completions"},
		{"one embedding of Gemini", `"base_url":"https://h"`, Call{Format: format.GeminiEmbeddings, Operation: format.OperationEmbed, Model: "m"}, "https://h/v1beta/models/m:embedContent"},
		{"several", `"base_url":"https://h"`, Call{Format: format.GeminiEmbeddings, Operation: format.OperationEmbed, Model: "m", Verb: "batchEmbedContents"}, "https://h/v1beta/models/m:batchEmbedContents"},
		{"rerank", `"base_url":"https://h"`, Call{Format: format.Rerank, Operation: format.OperationRerank}, "https://h/v1/rerank"},
		{"rerank elsewhere", `"base_url":"https://h","format_paths":{"rerank":"/v2/rerank"}`, Call{Format: format.Rerank, Operation: format.OperationRerank}, "https://h/v2/rerank"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := mustProvision(t, "mine", `{`+tc.config+`,`+all+`}`)
			tc.call.Body = new(format.Body)
			r, err := u.request(t.Context(), &tc.call)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.URL.String(); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// A format serves its own operations, and the content type of a form is kept.
func TestEndpointCalls(t *testing.T) {
	u := mustProvision(t, "mine", `{"base_url":"https://h","formats":["openai_audio","openai_embeddings"]}`)
	if _, err := u.request(t.Context(), &Call{Format: format.OpenAIEmbeddings, Operation: format.OperationChat, Body: new(format.Body)}); err == nil {
		t.Error("embeddings are asked for a chat")
	}
	r, err := u.request(t.Context(), &Call{
		Format: format.OpenAIAudio, Operation: format.OperationAudioTranscribe,
		Type: "multipart/form-data; boundary=x", Body: new(format.Body),
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Header.Get("Content-Type") != "multipart/form-data; boundary=x" || r.Header.Get("Accept") != "*/*" {
		t.Errorf("headers %v", r.Header)
	}
}

// Without a preset and without formats an upstream speaks two, if both have an
// address.
func TestDefaultFormats(t *testing.T) {
	for config, want := range map[string]int{
		`{"base_url":"https://h"}`:                        2,
		`{"format_urls":{"openai_chat":"https://other"}}`: 1,
	} {
		if u := mustProvision(t, "mine", config); len(u.Spoken()) != want {
			t.Errorf("%s speaks %v", config, u.Spoken())
		}
	}
}
