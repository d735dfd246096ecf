package upstream

import (
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

func TestAddresses(t *testing.T) {
	const chat, messages = format.OpenAIChat, format.AnthropicMessages
	for _, tc := range []struct {
		name, config string
		format       format.ID
		want         string
	}{
		// without a preset
		{"bare", `{"base_url":"https://h"}`, chat, "https://h/v1/chat/completions"},
		{"slash", `{"base_url":"https://h/"}`, chat, "https://h/v1/chat/completions"},
		{"version", `{"base_url":"https://h/v1"}`, chat, "https://h/v1/chat/completions"},
		{"version and slash", `{"base_url":"https://h/v1/"}`, chat, "https://h/v1/chat/completions"},
		{"prefix", `{"base_url":"https://h/api/openai"}`, chat, "https://h/api/openai/v1/chat/completions"},
		{"prefix and version", `{"base_url":"https://h/api/openai/v1"}`, chat, "https://h/api/openai/v1/chat/completions"},
		{"part of the path", `{"base_url":"https://h/v1/chat"}`, chat, "https://h/v1/chat/completions"},
		{"whole address", `{"base_url":"https://h/v1/chat/completions"}`, chat, "https://h/v1/chat/completions"},
		{"whole address without a version", `{"base_url":"https://h/chat/completions"}`, chat, "https://h/chat/completions"},
		{"another version", `{"base_url":"https://h/api/paas/v4"}`, chat, "https://h/api/paas/v4/chat/completions"},
		{"another version and slash", `{"base_url":"https://h/api/paas/v4/"}`, chat, "https://h/api/paas/v4/chat/completions"},
		{"whole address of another version", `{"base_url":"https://h/api/paas/v4/chat/completions"}`, chat, "https://h/api/paas/v4/chat/completions"},
		{"preview version", `{"base_url":"https://h/v2preview3"}`, chat, "https://h/v2preview3/chat/completions"},
		{"segment that only looks like a version", `{"base_url":"https://h/v2ray"}`, chat, "https://h/v2ray/v1/chat/completions"},
		{"double slashes", `{"base_url":"https://h//api//v1//"}`, chat, "https://h/api/v1/chat/completions"},
		{"port", `{"base_url":"http://h:8000/v1"}`, chat, "http://h:8000/v1/chat/completions"},
		{"IPv6", `{"base_url":"http://[::1]:8000/v1"}`, chat, "http://[::1]:8000/v1/chat/completions"},
		{"upper-case scheme", `{"base_url":"HTTPS://h/v1"}`, chat, "https://h/v1/chat/completions"},
		{"escaped segment", `{"base_url":"https://h/a%2Fb/v1"}`, chat, "https://h/a%2Fb/v1/chat/completions"},
		{"space", `{"base_url":"https://h/a b"}`, chat, "https://h/a%20b/v1/chat/completions"},
		{"messages, bare", `{"base_url":"https://h","formats":["anthropic_messages"]}`, messages, "https://h/v1/messages"},
		{"messages, version", `{"base_url":"https://h/v1","formats":["anthropic_messages"]}`, messages, "https://h/v1/messages"},
		{"messages, whole address", `{"base_url":"https://h/v1/messages","formats":["anthropic_messages"]}`, messages, "https://h/v1/messages"},
		{"messages beside a whole chat address", `{"base_url":"https://h/x/v1/chat/completions","formats":["openai_chat","anthropic_messages"]}`, messages, "https://h/x/v1/messages"},
		{"messages, another version", `{"base_url":"https://h/v3","formats":["anthropic_messages"]}`, messages, "https://h/v3/messages"},
		// per format
		{"url per format", `{"base_url":"https://h","formats":["openai_chat","anthropic_messages"],"format_urls":{"anthropic_messages":"https://other/anthropic/"}}`, messages, "https://other/anthropic/v1/messages"},
		{"url per format leaves the other", `{"base_url":"https://h","formats":["openai_chat","anthropic_messages"],"format_urls":{"anthropic_messages":"https://other/anthropic/"}}`, chat, "https://h/v1/chat/completions"},
		{"only urls per format", `{"format_urls":{"openai_chat":"https://other/v1"}}`, chat, "https://other/v1/chat/completions"},
		{"path per format", `{"base_url":"https://h","format_paths":{"openai_chat":"/llm/chat"}}`, chat, "https://h/llm/chat"},
		{"path below the base", `{"base_url":"https://h/v1","format_paths":{"openai_chat":"/llm/chat"}}`, chat, "https://h/v1/llm/chat"},
		{"path that repeats the base", `{"base_url":"https://h/v1","format_paths":{"openai_chat":"/v1/llm"}}`, chat, "https://h/v1/llm"},
		{"path with its own version", `{"base_url":"https://h/v1","format_paths":{"openai_chat":"/v2/llm"}}`, chat, "https://h/v1/v2/llm"},
		// presets
		{"gemini, bare", `{"provider":"gemini","formats":["openai_chat"],"base_url":"https://generativelanguage.googleapis.com"}`, chat, "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions"},
		{"gemini, v1beta", `{"provider":"gemini","formats":["openai_chat"],"base_url":"https://generativelanguage.googleapis.com/v1beta"}`, chat, "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions"},
		{"gemini, v1", `{"provider":"gemini","formats":["openai_chat"],"base_url":"https://generativelanguage.googleapis.com/v1/"}`, chat, "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions"},
		{"gemini, v1 elsewhere", `{"provider":"gemini","formats":["openai_chat"],"base_url":"http://mock:1/v1"}`, chat, "http://mock:1/v1beta/openai/chat/completions"},
		{"gemini, documented", `{"provider":"gemini","formats":["openai_chat"],"base_url":"https://generativelanguage.googleapis.com/v1beta/openai/"}`, chat, "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions"},
		{"gemini, whole under v1", `{"provider":"gemini","formats":["openai_chat"],"base_url":"https://generativelanguage.googleapis.com/v1/openai/chat/completions"}`, chat, "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions"},
		{"gemini itself", `{"provider":"gemini"}`, format.Gemini, "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent"},
		{"gemini itself, v1", `{"provider":"gemini","base_url":"https://generativelanguage.googleapis.com/v1"}`, format.Gemini, "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent"},
		{"gemini's format elsewhere", `{"base_url":"http://mock:1","formats":["gemini"]}`, format.Gemini, "http://mock:1/v1beta/models/m:generateContent"},
		{"gemini's format under v1", `{"base_url":"http://mock:1/v1","formats":["gemini"]}`, format.Gemini, "http://mock:1/v1/models/m:generateContent"},
		{"gemini's format, whole list", `{"base_url":"http://mock:1/x/v1beta/models/","formats":["gemini"]}`, format.Gemini, "http://mock:1/x/v1beta/models/m:generateContent"},
		{"gemini's format at a path", `{"base_url":"http://mock:1","formats":["gemini"],"format_paths":{"gemini":"/llm"}}`, format.Gemini, "http://mock:1/llm/m:generateContent"},
		{"responses, bare", `{"base_url":"https://h","formats":["openai_responses"]}`, format.OpenAIResponses, "https://h/v1/responses"},
		{"responses beside a whole chat address", `{"base_url":"https://h/v1/chat/completions","formats":["openai_chat","openai_responses"]}`, format.OpenAIResponses, "https://h/v1/responses"},
		{"groq, documented", `{"provider":"groq","base_url":"https://api.groq.com/openai/v1"}`, chat, "https://api.groq.com/openai/v1/chat/completions"},
		{"groq, short", `{"provider":"groq","base_url":"https://api.groq.com/v1"}`, chat, "https://api.groq.com/openai/v1/chat/completions"},
		{"groq through a proxy", `{"provider":"groq","base_url":"http://proxy:8080/v1"}`, chat, "http://proxy:8080/v1/chat/completions"},
		{"openrouter, documented", `{"provider":"openrouter","base_url":"https://openrouter.ai/api/v1"}`, messages, "https://openrouter.ai/api/v1/messages"},
		{"openrouter, for Anthropic's SDK", `{"provider":"openrouter","base_url":"https://openrouter.ai/api"}`, chat, "https://openrouter.ai/api/v1/chat/completions"},
		{"openrouter, whole chat address", `{"provider":"openrouter","base_url":"https://openrouter.ai/api/v1/chat/completions"}`, messages, "https://openrouter.ai/api/v1/messages"},
		{"deepseek with a version", `{"provider":"deepseek","base_url":"https://api.deepseek.com/v1"}`, chat, "https://api.deepseek.com/v1/chat/completions"},
		{"deepseek with a version, messages", `{"provider":"deepseek","base_url":"https://api.deepseek.com/v1"}`, messages, "https://api.deepseek.com/anthropic/v1/messages"},
		{"azure with a version", `{"provider":"azure_openai","base_url":"https://x.openai.azure.com/openai/v1/"}`, chat, "https://x.openai.azure.com/openai/v1/chat/completions"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := requestOf(t, mustProvision(t, "mine", tc.config), &Call{Format: tc.format, Model: "m"})
			if got := r.URL.String(); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestBaseURLErrors(t *testing.T) {
	for _, tc := range []struct{ name, url, want string }{
		{"no scheme", "api.openai.com/v1", "has no scheme; write http:// or https:// in front of it"},
		{"host and port", "localhost:8000", "has no scheme"},
		{"scheme", "ftp://h/v1", `scheme "ftp" is neither http nor https`},
		{"no host", "https:///v1", "has no host"},
		{"user", "https://me@h/v1", "must not hold a user name or password; use a credential"},
		{"password", "https://me:secret-value@h/v1", "must not hold a user name or password; use a credential"},
		{"bad password", "https://me:secret value@h/v1", "is not a URL"},
		{"query", "https://h/v1?key=secret-value", "must not hold a query"},
		{"empty query", "https://h/v1?", "must not hold a query"},
		{"fragment", "https://h/v1#x", "must not hold a fragment"},
		{"empty fragment", "https://h/v1#", "must not hold a fragment"},
		{"port", "https://h:70000", "has a port outside 1-65535"},
		{"no number", "https://h:x", "is not a URL: invalid port"},
		{"dots", "https://h/a/../b", "must not hold . or .. as a path segment"},
		{"escaped dots", "https://h/a/%2e%2E/b", "must not hold . or .. as a path segment"},
		{"control character", "https://h/\u0001", "is not a URL"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := parseBase(tc.url)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want %q", err, tc.want)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("error %q holds the secret", err)
			}
		})
	}
}

func TestFormatPathErrors(t *testing.T) {
	for _, tc := range []struct{ name, path, want string }{
		{"empty", "", "must start with /"},
		{"relative", "chat", "must start with /"},
		{"root", "/", "must name more than /"},
		{"host", "//evil/x", "must not start with //, which names another host"},
		{"URL", "https://evil/x", "must be a path, not a URL; use format_urls for another host"},
		{"backslash", `/\evil`, "must not hold a backslash"},
		{"placeholder", "/{env.X}", "must not hold a backslash or braces"},
		{"query", "/x?y", "must not hold a query or fragment"},
		{"dots", "/x/../y", "must not hold . or .. as a path segment"},
		{"escape", "/%zz", "is not a path"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := checkPath(tc.path); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}
