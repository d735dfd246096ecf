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
// danny-avila/LibreChat #14231. Context windows: the vendor's
// pages for gpt-5.5 and 5.6, lists of resellers for the rest of gpt-5.4 and for 5.3
// Codex Spark, and common knowledge for older models; a name that stands for several
// models with different windows, and open weights, have none.
var openai = []entry{
	// Models that do not reason take every kind of sampling.
	{"gpt-3.5", plain},
	{"gpt-3.5-turbo", plain.with(window(16_385))},
	{"gpt-3.5-turbo-instruct", plain.with(window(4096))},
	{"gpt-4", plain},
	{"gpt-4-0613", plain.with(window(8192))},
	{"gpt-4-32k", plain.with(window(32_768))},
	{"gpt-4-1106", plain.with(window(128_000))},
	{"gpt-4-0125", plain.with(window(128_000))},
	{"gpt-4-turbo", plain.with(window(128_000))},
	{"gpt-4o", plain.with(window(128_000))},
	{"gpt-4.1", plain.with(window(1_047_576))},
	{"chatgpt-4o", plain.with(window(128_000))},
	{"gpt-audio", plain},
	// The models that search by themselves refuse to be sampled otherwise.
	{"gpt-4o-search", Model{Thinking: ThinkingNone, Sampling: SamplingNone, NoPenalties: true, ContextWindow: 128_000}},
	{"gpt-4o-mini-search", Model{Thinking: ThinkingNone, Sampling: SamplingNone, NoPenalties: true, ContextWindow: 128_000}},
	// Open weights, for which servers take OpenAI's three first efforts (the format
	// "harmony" knows no others), and any sampling.
	{"gpt-oss", Model{Efforts: threeEfforts, ThinksByDefault: true}},

	// The o series. The first two reason, but take neither an effort nor a role
	// for instructions.
	{"o1", ofOpenAI(threeEfforts, SamplingNone, ChatToolsFree).with(window(200_000))},
	{"o1-mini", Model{Thinking: ThinkingNone, Reasons: true, NoPenalties: true, Sampling: SamplingNone, ContextWindow: 128_000}},
	{"o1-preview", Model{Thinking: ThinkingNone, Reasons: true, NoPenalties: true, Sampling: SamplingNone, ContextWindow: 128_000}},
	{"o3", ofOpenAI(threeEfforts, SamplingNone, ChatToolsFree).with(window(200_000))},
	{"o4", ofOpenAI(threeEfforts, SamplingNone, ChatToolsFree).with(window(200_000))},
	{"codex-mini", ofOpenAI(threeEfforts, SamplingNone, ChatToolsFree).with(window(200_000))},

	{"gpt-5", ofOpenAI(Minimal|threeEfforts, SamplingNone, ChatToolsFree).with(window(400_000))},
	{"gpt-5-chat", plain.with(window(128_000))},
	{"gpt-5-codex", ofOpenAI(threeEfforts, SamplingNone, ChatToolsFree).with(window(400_000))},
	{"gpt-5-pro", ofOpenAI(High, SamplingNone, ChatToolsFree).with(window(400_000))},

	{"gpt-5.1", quiet(None|threeEfforts, ChatToolsFree).with(window(400_000))},
	{"gpt-5.1-chat", chatVariant},
	{"gpt-5.1-codex", ofOpenAI(threeEfforts, SamplingNone, ChatToolsFree).with(window(400_000))},
	{"gpt-5.1-codex-mini", ofOpenAI(Medium|High, SamplingNone, ChatToolsFree).with(window(400_000))},
	{"gpt-5.1-codex-max", ofOpenAI(fourEfforts, SamplingNone, ChatToolsFree).with(window(400_000))},

	{"gpt-5.2", quiet(None|fourEfforts, ChatToolsFree).with(window(400_000))},
	{"gpt-5.2-chat", chatVariant},
	{"gpt-5.2-codex", ofOpenAI(fourEfforts, SamplingNone, ChatToolsFree).with(window(400_000))},
	{"gpt-5.2-pro", ofOpenAI(Medium|High|XHigh, SamplingNone, ChatToolsFree).with(window(400_000))},

	{"gpt-5.3", quiet(None|fourEfforts, ChatToolsFree)},
	{"gpt-5.3-chat", chatVariant},
	{"gpt-5.3-codex", ofOpenAI(fourEfforts, SamplingNone, ChatToolsFree).with(window(400_000))},
	{"gpt-5.3-codex-spark", ofOpenAI(fourEfforts, SamplingNone, ChatToolsFree).with(window(128_000))},

	{"gpt-5.4", quiet(None|fourEfforts, ChatToolsEffort).with(window(1_050_000))},
	{"gpt-5.4-mini", quiet(None|fourEfforts, ChatToolsEffort).with(window(400_000))},
	{"gpt-5.4-nano", quiet(None|fourEfforts, ChatToolsEffort).with(window(400_000))},
	{"gpt-5.4-pro", ofOpenAI(Medium|High|XHigh, SamplingNone, ChatToolsRefused).with(window(1_050_000))},
	{"gpt-5.5", ofOpenAI(None|fourEfforts, SamplingEffortNone, ChatToolsEffortNone).with(window(1_050_000))},
	{"gpt-5.5-pro", ofOpenAI(Medium|High|XHigh, SamplingNone, ChatToolsRefused)},
	{"gpt-5.6", marked(None|allOfGPT6, SamplingEffortNone, ChatToolsEffortNone).with(window(1_050_000))},

	// From here on sampling is refused at every effort, and what is not named takes
	// no effort none: so do the newest of the family.
	{"gpt-6", marked(allOfGPT6, SamplingNone, ChatToolsRefused)},
	{"gpt-6-sol", marked(None|allOfGPT6, SamplingNone, ChatToolsEffortNone)},
	{"gpt-6-luna", marked(None|allOfGPT6, SamplingNone, ChatToolsEffortNone)},
	{"gpt-6.1-terra", marked(None|allOfGPT6, SamplingNone, ChatToolsEffortNone)},
}

// chatVariant are the models of ChatGPT from gpt-5.1 on: of the efforts they take
// the default alone (egoist/chatwise-releases #1257).
var chatVariant = Model{Efforts: Medium, ThinksByDefault: true, DeveloperRole: true, ContextWindow: 128_000}

// plain is a model that does not reason.
var plain = Model{Thinking: ThinkingNone}

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
