package routing

import "strings"

// vendors are the beginnings of model names by which their makers are known. The
// first that fits decides.
var vendors = []struct{ vendor, prefixes string }{
	{"openai", "gpt- chatgpt- o1 o3 o4 text-embedding-3 text-embedding-ada dall-e whisper tts- codex davinci babbage omni-moderation"},
	{"anthropic", "claude"},
	{"google", "gemini gemma palm imagen veo text-embedding-00 learnlm"},
	{"meta", "llama meta-llama codellama"},
	{"mistral", "mistral mixtral codestral ministral pixtral magistral devstral open-mistral"},
	{"deepseek", "deepseek"},
	{"xai", "grok"},
	{"alibaba", "qwen qwq qvq wan"},
	{"cohere", "command cohere embed-english embed-multilingual rerank-"},
	{"microsoft", "phi- phi3 phi4 wizardlm"},
	{"amazon", "nova- titan amazon"},
	{"nvidia", "nemotron nvidia"},
	{"moonshot", "kimi moonshot"},
	{"zhipu", "glm chatglm"},
	{"minimax", "minimax abab"},
	{"01-ai", "yi-"},
	{"baidu", "ernie"},
	{"bytedance", "doubao seed-"},
	{"tencent", "hunyuan"},
	{"ai21", "jamba j2-"},
	{"perplexity", "sonar"},
	{"stability", "stable- sd3 sdxl"},
	{"black-forest-labs", "flux"},
	{"voyage", "voyage"},
}

// vendorPrefixes are the same, by their first byte.
var vendorPrefixes = func() (by [256][]struct{ vendor, prefix string }) {
	for _, v := range vendors {
		for prefix := range strings.FieldsSeq(v.prefixes) {
			by[prefix[0]] = append(by[prefix[0]], struct{ vendor, prefix string }{v.vendor, prefix})
		}
	}
	return by
}()

// VendorOf is the maker of a model, as its name tells: the whole name, or what
// stands behind its last slash. It is "" if nothing is known.
func VendorOf(name string) string {
	name = strings.ToLower(name)
	if vendor := vendorOf(name); vendor != "" {
		return vendor
	}
	return vendorOf(name[strings.LastIndexByte(name, '/')+1:])
}

func vendorOf(name string) string {
	if name == "" {
		return ""
	}
	for _, v := range vendorPrefixes[name[0]] {
		if strings.HasPrefix(name, v.prefix) {
			return v.vendor
		}
	}
	return ""
}

// VendorOf is the model's vendor: what the definition says, else what the model's
// name tells, else what the upstream models' names tell.
func (m *Model) VendorOf(name string) string {
	if m.Vendor != "" {
		return m.Vendor
	}
	if vendor := VendorOf(name); vendor != "" {
		return vendor
	}
	for i := range m.Sources {
		if vendor := VendorOf(m.Sources[i].Model); vendor != "" {
			return vendor
		}
	}
	return ""
}
