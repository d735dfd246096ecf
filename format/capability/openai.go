package capability

// Sets of efforts that many of OpenAI's models share.
const (
	threeEfforts = Low | Medium | High
	fourEfforts  = threeEfforts | XHigh
	allOfGPT6    = fourEfforts | Max
)

// openai are the models of OpenAI.
//
// Sources, unless a row names its own: OpenAI's model pages and guides "Reasoning
// models", "Latest model" and "Prompt caching" (developers.openai.com, November
// 2026), and the capabilities in @ai-sdk/openai 3.0.141. The efforts were compared
// with what the API itself says when it refuses one: anomalyco/opencode #26268,
// openai/codex #6647, CherryHQ/cherry-studio #10430, mnfst/modelparams.dev #236,
// langchain-ai/langchain #40330. What the Chat endpoint says to tools:
// pipecat-ai/pipecat #4043 (gpt-5.4), jeffdafoe/llm-memory-api #178 (gpt-5.5),
// BerriAI/litellm #34569 (gpt-5.6), onyx-dot-app/onyx #15008 (gpt-6-sol),
// danny-avila/LibreChat #14231.
var openai = []entry{
	// Models that do not reason take every kind of sampling.
	{"gpt-3.5", Model{Thinking: ThinkingNone}},
	{"gpt-4", Model{Thinking: ThinkingNone}},
	{"chatgpt-4o", Model{Thinking: ThinkingNone}},
	{"gpt-audio", Model{Thinking: ThinkingNone}},
	// The models that search by themselves refuse to be sampled otherwise.
	{"gpt-4o-search", Model{Thinking: ThinkingNone, Sampling: SamplingNone, NoPenalties: true}},
	{"gpt-4o-mini-search", Model{Thinking: ThinkingNone, Sampling: SamplingNone, NoPenalties: true}},
	// Open weights, for which servers take OpenAI's three first efforts (the format
	// "harmony" knows no others), and any sampling.
	{"gpt-oss", Model{Efforts: threeEfforts, ThinksByDefault: true}},

	// The o series. The first two reason, but take neither an effort nor a role
	// for instructions.
	{"o1", ofOpenAI(threeEfforts, SamplingNone, ChatToolsFree)},
	{"o1-mini", Model{Thinking: ThinkingNone, Reasons: true, NoPenalties: true, Sampling: SamplingNone}},
	{"o1-preview", Model{Thinking: ThinkingNone, Reasons: true, NoPenalties: true, Sampling: SamplingNone}},
	{"o3", ofOpenAI(threeEfforts, SamplingNone, ChatToolsFree)},
	{"o4", ofOpenAI(threeEfforts, SamplingNone, ChatToolsFree)},
	{"codex-mini", ofOpenAI(threeEfforts, SamplingNone, ChatToolsFree)},

	{"gpt-5", ofOpenAI(Minimal|threeEfforts, SamplingNone, ChatToolsFree)},
	{"gpt-5-chat", Model{Thinking: ThinkingNone}},
	{"gpt-5-codex", ofOpenAI(threeEfforts, SamplingNone, ChatToolsFree)},
	{"gpt-5-pro", ofOpenAI(High, SamplingNone, ChatToolsFree)},

	{"gpt-5.1", quiet(None|threeEfforts, ChatToolsFree)},
	{"gpt-5.1-chat", chatVariant},
	{"gpt-5.1-codex", ofOpenAI(threeEfforts, SamplingNone, ChatToolsFree)},
	{"gpt-5.1-codex-mini", ofOpenAI(Medium|High, SamplingNone, ChatToolsFree)},
	{"gpt-5.1-codex-max", ofOpenAI(fourEfforts, SamplingNone, ChatToolsFree)},

	{"gpt-5.2", quiet(None|fourEfforts, ChatToolsFree)},
	{"gpt-5.2-chat", chatVariant},
	{"gpt-5.2-codex", ofOpenAI(fourEfforts, SamplingNone, ChatToolsFree)},
	{"gpt-5.2-pro", ofOpenAI(Medium|High|XHigh, SamplingNone, ChatToolsFree)},

	{"gpt-5.3", quiet(None|fourEfforts, ChatToolsFree)},
	{"gpt-5.3-chat", chatVariant},
	{"gpt-5.3-codex", ofOpenAI(fourEfforts, SamplingNone, ChatToolsFree)},

	{"gpt-5.4", quiet(None|fourEfforts, ChatToolsEffort)},
	{"gpt-5.4-pro", ofOpenAI(Medium|High|XHigh, SamplingNone, ChatToolsRefused)},
	{"gpt-5.5", ofOpenAI(None|fourEfforts, SamplingEffortNone, ChatToolsEffortNone)},
	{"gpt-5.5-pro", ofOpenAI(Medium|High|XHigh, SamplingNone, ChatToolsRefused)},
	{"gpt-5.6", marked(None|allOfGPT6, SamplingEffortNone, ChatToolsEffortNone)},

	// From here on sampling is refused at every effort, and what is not named takes
	// no effort none: so do the newest of the family.
	{"gpt-6", marked(allOfGPT6, SamplingNone, ChatToolsRefused)},
	{"gpt-6-sol", marked(None|allOfGPT6, SamplingNone, ChatToolsEffortNone)},
	{"gpt-6-luna", marked(None|allOfGPT6, SamplingNone, ChatToolsEffortNone)},
	{"gpt-6.1-terra", marked(None|allOfGPT6, SamplingNone, ChatToolsEffortNone)},
}

// chatVariant are the models of ChatGPT from gpt-5.1 on: of the efforts they take
// the default alone (egoist/chatwise-releases #1257).
var chatVariant = Model{Efforts: Medium, ThinksByDefault: true, DeveloperRole: true}

// ofOpenAI is a reasoning model that reasons unless it is told not to.
func ofOpenAI(efforts Efforts, sampling Sampling, tools ChatTools) Model {
	return Model{
		Efforts:         efforts,
		ThinksByDefault: true,
		Reasons:         true,
		NoPenalties:     true,
		Sampling:        sampling,
		DeveloperRole:   true,
		ChatTools:       tools,
	}
}

// quiet is a reasoning model that does not reason unless it is told to.
func quiet(efforts Efforts, tools ChatTools) Model {
	m := ofOpenAI(efforts, SamplingEffortNone, tools)
	m.ThinksByDefault = false
	return m
}

// marked is a reasoning model that takes cache marks.
func marked(efforts Efforts, sampling Sampling, tools ChatTools) Model {
	m := ofOpenAI(efforts, sampling, tools)
	m.CacheMarks = true
	return m
}
