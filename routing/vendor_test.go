package routing

import "testing"

func TestVendorOf(t *testing.T) {
	for name, want := range map[string]string{
		"gpt-4o": "openai", "o3-mini": "openai", "claude-sonnet-4-5": "anthropic", "Anthropic/Claude-3": "anthropic",
		"meta-llama/Llama-3.3-70B": "meta", "vendor/qwen3": "alibaba", "text-embedding-004": "google", "writer": "", "": "", "/": "",
	} {
		if got := VendorOf(name); got != want {
			t.Errorf("%q is of %q, want %q", name, got, want)
		}
	}
	m := &Model{Sources: []Source{{Model: "unknown"}, {Model: "mistral-large"}}}
	if got := m.VendorOf("writer"); got != "mistral" {
		t.Errorf("the model is of %q by its sources", got)
	}
	if got := m.VendorOf("claude-like"); got != "anthropic" {
		t.Errorf("the model is of %q by its name", got)
	}
	m.Vendor = "house"
	if got := m.VendorOf("gpt-4o"); got != "house" {
		t.Errorf("the model is of %q although it says otherwise", got)
	}
}
