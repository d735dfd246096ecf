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
		{"/v1/messages/count_tokens", "", "", ""},
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
	if n := testing.AllocsPerRun(100, func() { Match("/v1/chat/completions") }); n > 0 {
		t.Errorf("Match allocates %v times", n)
	}
}
