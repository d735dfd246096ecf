package format

import "testing"

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		path  string
		id    ID
		op    Operation
		model string
	}{
		{"/v1/chat/completions", OpenAIChat, OperationChat, ""},
		{"/chat/completions", OpenAIChat, OperationChat, ""},
		{"/v1/messages", AnthropicMessages, OperationChat, ""},
		{"/messages", AnthropicMessages, OperationChat, ""},
		{"/v1/models", OpenAIChat, OperationListModels, ""},
		{"/models", OpenAIChat, OperationListModels, ""},
		{"/v1/models/gpt-4o", OpenAIChat, OperationListModels, "gpt-4o"},
		{"/v1/models/a%2Fb", OpenAIChat, OperationListModels, "a%2Fb"},
		{"/v1/models/a/b", OpenAIChat, OperationListModels, "a/b"},
		{"/v1/models/", "", "", ""},
		{"/v1/responses", OpenAIResponses, OperationChat, ""},
		{"/responses", OpenAIResponses, OperationChat, ""},
		{"/v1/responses/input_tokens", OpenAIResponses, OperationCountTokens, ""},
		{"/v1/responses/resp_1", OpenAIResponses, "", ""},
		{"/v1/responses/resp_1/cancel", OpenAIResponses, "", ""},
		{"/v1/messages/batches", AnthropicMessages, "", ""},
		{"/v1/chat/completions/chatcmpl-1", OpenAIChat, "", ""},
		{"/v1/messages/count_tokens", AnthropicMessages, OperationCountTokens, ""},
		{"/v1/completions", OpenAICompletions, OperationComplete, ""},
		{"/v1/embeddings", OpenAIEmbeddings, OperationEmbed, ""},
		{"/v1beta/models/gemini-3:generateContent", Gemini, OperationChat, "gemini-3"},
		{"/v1/models/gemini-3:generateContent", Gemini, OperationChat, "gemini-3"},
		{"/models/gemini-3:streamGenerateContent", Gemini, OperationChat, "gemini-3"},
		{"/v1beta/models/a/b:7b:generateContent", Gemini, OperationChat, "a/b:7b"},
		{"/v1beta/models/a%2Fb%3AgenerateContent", Gemini, OperationChat, "a%2Fb"},
		{"/v1beta/tunedModels/mine:generateContent", Gemini, OperationChat, "tunedModels/mine"},
		{"/v1beta/models/gemini-3:countTokens", Gemini, OperationCountTokens, "gemini-3"},
		{"/v1beta/models/e:embedContent", GeminiEmbeddings, OperationEmbed, "e"},
		{"/v1/models/e:batchEmbedContents", GeminiEmbeddings, OperationEmbed, "e"},
		{"/v1beta/models", Gemini, OperationListModels, ""},
		{"/v1beta/models/gemini-3", Gemini, OperationListModels, "gemini-3"},
		{"/v1/models/llama3:8b", OpenAIChat, OperationListModels, "llama3:8b"},
		{"/v1beta/models/:generateContent", Gemini, OperationListModels, ":generateContent"},
		{"/v1beta/models/", "", "", ""},
		{"/v1beta/chat/completions", "", "", ""},
		{"/v1beta", "", "", ""},
		{"/v1beta/tunedModels/mine", "", "", ""},
		{"/v1", "", "", ""},
		{"/", "", "", ""},
		{"", "", "", ""},
		{"/v1/v1/messages", "", "", ""},
		{"/v10/messages", "", "", ""},
	} {
		ep, ok := Match(tc.path)
		if ok != (tc.id != "") || ep.Format != tc.id || ep.Operation != tc.op || ep.Model != tc.model {
			t.Errorf("Match(%q) = %+v, %t", tc.path, ep, ok)
		}
	}
	for _, path := range []string{"/v1/chat/completions", "/v1beta/models/gemini-3:streamGenerateContent"} {
		if n := testing.AllocsPerRun(100, func() { Match(path) }); n > 0 {
			t.Errorf("Match(%q) allocates %v times", path, n)
		}
	}
	ep, _ := Match("/v1/models/m:streamGenerateContent")
	if !ep.Stream || !ep.InPath() || ep.Verb != "streamGenerateContent" {
		t.Errorf("a path of a stream is %+v", ep)
	}
}
