package caddytest

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// setting is a member of a request that means the same under another name
// elsewhere.
type setting struct {
	group, title, key string
	// tools says that the request offers the functions weather and clock.
	tools bool
	// says are the members by which clients of the formats, in the order of the
	// tables, say it; empty for those whose format has no words for it.
	says [4]string
	// gets are the paths at which the upstreams of the formats get it from clients of
	// others, each with the raw value it must have, separated by lines; empty for those
	// whose format has no place for it, of which the client must be told.
	gets [4]string
}

// toolSettings are about tools.
var toolSettings = []setting{
	{
		group: "Tools", title: "no calls", key: "choice-none", tools: true,
		says: [4]string{`{"tool_choice":"none"}`, `{"tool_choice":"none"}`, `{"tool_choice":{"type":"none"}}`, `{"toolConfig":{"functionCallingConfig":{"mode":"NONE"}}}`},
		gets: [4]string{`tool_choice "none"`, `tool_choice "none"`, `tool_choice.type "none"`, `toolConfig.functionCallingConfig.mode "NONE"`},
	},
	{
		group: "Tools", title: "some call", key: "choice-any", tools: true,
		says: [4]string{`{"tool_choice":"required"}`, `{"tool_choice":"required"}`, `{"tool_choice":{"type":"any"}}`, `{"toolConfig":{"functionCallingConfig":{"mode":"ANY"}}}`},
		gets: [4]string{`tool_choice "required"`, `tool_choice "required"`, `tool_choice.type "any"`, `toolConfig.functionCallingConfig.mode "ANY"`},
	},
	{
		group: "Tools", title: "allowed tools", key: "choice-allowed", tools: true,
		says: [4]string{
			`{"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"clock"}}]}}}`,
			`{"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"clock"}]}}`,
			``,
			`{"toolConfig":{"functionCallingConfig":{"mode":"VALIDATED","allowedFunctionNames":["clock"]}}}`,
		},
		gets: [4]string{
			"tool_choice.allowed_tools.tools.#.function.name [\"clock\"]\ntool_choice.allowed_tools.mode \"auto\"",
			"tool_choice.tools.#.name [\"clock\"]\ntool_choice.mode \"auto\"",
			`tools.#.name ["clock"]`,
			`toolConfig.functionCallingConfig.allowedFunctionNames ["clock"]`,
		},
	},
	{
		group: "Tools", title: "one call at a time", key: "serial", tools: true,
		says: [4]string{`{"parallel_tool_calls":false}`, `{"parallel_tool_calls":false}`, `{"tool_choice":{"type":"auto","disable_parallel_tool_use":true}}`, ``},
		gets: [4]string{`parallel_tool_calls false`, `parallel_tool_calls false`, `tool_choice.disable_parallel_tool_use true`, ``},
	},
}

// A long id of an end user, such as Claude Code sends, and what OpenAI's formats,
// which take 64 characters, get in its place.
var (
	longUser   = "user_" + strings.Repeat("0123456789", 10)
	digest     = sha256.Sum256([]byte(longUser))
	hashedUser = hex.EncodeToString(digest[:])
)

// requestSettings are those of sampling and of the request as a whole.
var requestSettings = []setting{
	{
		group: "Settings", title: "temperature", key: "temperature",
		says: [4]string{`{"temperature":0.5}`, `{"temperature":0.5}`, `{"temperature":0.5}`, `{"generationConfig":{"temperature":0.5}}`},
		gets: [4]string{`temperature 0.5`, `temperature 0.5`, `temperature 0.5`, `generationConfig.temperature 0.5`},
	},
	{
		group: "Settings", title: "temperature above 1", key: "hot",
		says: [4]string{`{"temperature":1.5}`, `{"temperature":1.5}`, ``, `{"generationConfig":{"temperature":1.5}}`},
		gets: [4]string{`temperature 1.5`, `temperature 1.5`, `temperature 1`, `generationConfig.temperature 1.5`},
	},
	{
		group: "Settings", title: "top_p", key: "top-p",
		says: [4]string{`{"top_p":0.9}`, `{"top_p":0.9}`, `{"top_p":0.9}`, `{"generationConfig":{"topP":0.9}}`},
		gets: [4]string{`top_p 0.9`, `top_p 0.9`, `top_p 0.9`, `generationConfig.topP 0.9`},
	},
	{
		group: "Settings", title: "top_k", key: "top-k",
		says: [4]string{``, ``, `{"top_k":40}`, `{"generationConfig":{"topK":40}}`},
		gets: [4]string{``, ``, `top_k 40`, `generationConfig.topK 40`},
	},
	{
		group: "Settings", title: "penalties", key: "penalties",
		says: [4]string{`{"frequency_penalty":0.5,"presence_penalty":-0.5}`, ``, ``, `{"generationConfig":{"frequencyPenalty":0.5,"presencePenalty":-0.5}}`},
		gets: [4]string{
			"frequency_penalty 0.5\npresence_penalty -0.5", ``, ``,
			"generationConfig.frequencyPenalty 0.5\ngenerationConfig.presencePenalty -0.5",
		},
	},
	{
		group: "Settings", title: "seed", key: "seed",
		says: [4]string{`{"seed":7}`, ``, ``, `{"generationConfig":{"seed":7}}`},
		gets: [4]string{`seed 7`, ``, ``, `generationConfig.seed 7`},
	},
	{
		group: "Settings", title: "stop sequences", key: "stop",
		says: [4]string{`{"stop":["END","###"]}`, ``, `{"stop_sequences":["END","###"]}`, `{"generationConfig":{"stopSequences":["END","###"]}}`},
		gets: [4]string{`stop ["END","###"]`, ``, `stop_sequences ["END","###"]`, `generationConfig.stopSequences ["END","###"]`},
	},
	{
		group: "Settings", title: "several answers", key: "several",
		says: [4]string{`{"n":2}`, ``, ``, `{"generationConfig":{"candidateCount":2}}`},
		gets: [4]string{},
	},
	{
		group: "Settings", title: "end user", key: "user",
		says: [4]string{`{"safety_identifier":"u-1"}`, `{"safety_identifier":"u-1"}`, `{"metadata":{"user_id":"u-1"}}`, ``},
		gets: [4]string{`user "u-1"`, `safety_identifier "u-1"`, `metadata.user_id "u-1"`, ``},
	},
	{
		group: "Settings", title: "long id of an end user", key: "long-user",
		says: [4]string{``, ``, `{"metadata":{"user_id":"` + longUser + `"}}`, ``},
		gets: [4]string{`user "` + hashedUser + `"`, `safety_identifier "` + hashedUser + `"`, `metadata.user_id "` + longUser + `"`, ``},
	},
	{
		group: "Settings", title: "metadata", key: "metadata",
		says: [4]string{`{"metadata":{"team":"blue"}}`, `{"metadata":{"team":"blue"}}`, ``, ``},
		gets: [4]string{`metadata.team "blue"`, `metadata.team "blue"`, ``, ``},
	},
	{
		group: "Settings", title: "cheap service tier", key: "tier-flex",
		says: [4]string{`{"service_tier":"flex"}`, `{"service_tier":"flex"}`, ``, `{"serviceTier":"flex"}`},
		gets: [4]string{`service_tier "flex"`, `service_tier "flex"`, `service_tier "standard_only"`, `serviceTier "flex"`},
	},
	{
		group: "Settings", title: "standard service tier", key: "tier-standard",
		says: [4]string{`{"service_tier":"default"}`, `{"service_tier":"default"}`, `{"service_tier":"standard_only"}`, `{"serviceTier":"standard"}`},
		gets: [4]string{`service_tier "default"`, `service_tier "default"`, `service_tier "standard_only"`, `serviceTier "standard"`},
	},
	{
		group: "Settings", title: "verbosity", key: "verbosity",
		says: [4]string{`{"verbosity":"low"}`, `{"text":{"verbosity":"low"}}`, ``, ``},
		gets: [4]string{`verbosity "low"`, `text.verbosity "low"`, ``, ``},
	},
}

// answerSettings are the settings that stand among the answers.
func answerSettings() []feature {
	return settingFeatures([]setting{{
		group: "Answers", title: "JSON without a schema", key: "json",
		says: [4]string{`{"response_format":{"type":"json_object"}}`, `{"text":{"format":{"type":"json_object"}}}`, ``, `{"generationConfig":{"responseMimeType":"application/json"}}`},
		gets: [4]string{`response_format.type "json_object"`, `text.format.type "json_object"`, ``, `generationConfig.responseMimeType "application/json"`},
	}})
}

// settingFeatures makes features of settings.
func settingFeatures(all []setting) []feature {
	var out []feature
	for i := range all {
		s := &all[i]
		out = append(out, feature{
			group: s.group, title: s.title, key: s.key,
			absent: func(c *cell) bool { return s.says[c.from] == "" },
			run:    s.run,
		})
	}
	return out
}

// run sends a request with the setting.
func (s *setting) run(c *cell) {
	t := talk{members: s.says[c.from], turns: []turn{says("Answer in JSON.")}}
	if s.tools {
		t.tools = []string{"weather", "clock"}
	}
	for _, stream := range []bool{false, true} {
		t.stream = stream
		got := c.ask(t, provider.Say(`{"a":1}`))
		equal(c, "text", got.text, `{"a":1}`)
		switch {
		case c.same():
			t.model = c.name
			equal(c, "bytes", c.body(), c.client().say(t))
		case s.gets[c.to] == "":
			isTold(c)
		default:
			s.hasArrived(c)
		}
	}
}

// hasArrived checks that the upstream has got the setting.
func (s *setting) hasArrived(c *cell) {
	for line := range strings.SplitSeq(s.gets[c.to], "\n") {
		path, raw, _ := strings.Cut(line, " ")
		equal(c, path, gjson.Get(c.body(), path).Raw, raw)
	}
}
