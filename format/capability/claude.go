package capability

// The facts of Anthropic's models were read from the vendor's model pages and
// its guides on extended thinking, effort, structured outputs and system messages
// in the middle of a conversation, and from the model table of the npm package
// @ai-sdk/anthropic 3.0.138 (getModelCapabilities), in November 2026. Context
// windows: the models' overview pages on platform.claude.com for Opus 4.6, 5 and 5.5,
// Sonnet 4.6 and 5, and Fable 5.1; lists of resellers for 4.7, 4.8, Fable 5, Sonnet
// and Haiku 5.5; common knowledge for those before 4.6. What nobody says has none.

// Efforts of Claude. Models that think with a budget only know none, but for
// Opus 4.5.
const (
	claudeEfforts45 = Low | Medium | High
	claudeEfforts46 = Low | Medium | High | Max
	claudeEfforts47 = Low | Medium | High | XHigh | Max
)

// claude3 is what the models before 3.7 have in common.
func claude3(maxOutput int) Model {
	return Model{Thinking: ThinkingNone, NoStructuredOutput: true, MaxOutput: maxOutput, ContextWindow: claudeSmall}
}

// claudeManual is what the models that think with a budget have in common. A
// choice that demands a call is refused while they think.
func claudeManual(maxOutput int) Model {
	return Model{Thinking: ThinkingManual, ForcedTool: ForcedNotThinking, MaxOutput: maxOutput, ContextWindow: claudeSmall}
}

// claudeAdaptive is what all models from 4.7 on have in common.
func claudeAdaptive() Model {
	return Model{
		Thinking: ThinkingAdaptive, Sampling: SamplingNone, NoPrefill: true,
		Efforts: claudeEfforts47, MaxOutput: 128000,
	}
}

// with returns the model after the changes.
func (m Model) with(change ...func(*Model)) Model {
	for _, f := range change {
		f(&m)
	}
	return m
}

// Changes of models, in the words of their facts.
func thinksByDefault(m *Model)    { m.ThinksByDefault = true }
func midSystem(m *Model)          { m.MidSystem = true }
func noPrefill(m *Model)          { m.NoPrefill = true }
func notBoth(m *Model)            { m.Sampling = SamplingNotBoth }
func noStructuredOutput(m *Model) { m.NoStructuredOutput = true }
func forcedRefused(m *Model)      { m.ForcedTool = ForcedRefused }
func forcedNotThinking(m *Model)  { m.ForcedTool = ForcedNotThinking }
func thinkingBoth(m *Model)       { m.Thinking = ThinkingBoth }

// window says how large the context window is.
func window(tokens int) func(*Model) { return func(m *Model) { m.ContextWindow = tokens } }

// The windows of Claude: the small one up to 4.5, the large one from 4.6 on.
const (
	claudeSmall = 200_000
	claudeLarge = 1_000_000
)

// off says how thinking is switched off.
func off(o ThinkingOff) func(*Model) { return func(m *Model) { m.ThinkingOff = o } }

// efforts says which efforts are taken.
func efforts(e Efforts) func(*Model) { return func(m *Model) { m.Efforts = e } }

// Models that are named more than once.
var (
	// claudeLater is what a model of a known family is taken for whose version is
	// not known: like the newest.
	claudeLater = claudeAdaptive().with(thinksByDefault, off(OffUpToHigh))
	// claude5Always: Fable and Mythos 5 think always.
	claude5Always = claudeAdaptive().with(thinksByDefault, off(OffRefused))
	// claude5Bound: from 5.1 on they also refuse to be forced to call a tool.
	claude5Bound = claude5Always.with(forcedRefused)
	claude46     = claudeManual(128000).with(thinkingBoth, notBoth, noPrefill, efforts(claudeEfforts46), window(claudeLarge))
	sonnet5      = claudeAdaptive().with(thinksByDefault, window(claudeLarge))
	sonnet55     = claudeAdaptive().with(thinksByDefault, off(OffBetweenTools), forcedRefused, midSystem, window(claudeLarge))
)

// claude holds the models of Anthropic. A dot in a name stands for the dash of a
// pattern; see Of.
var claude = []entry{
	{"claude-instant", claude3(4096).with(window(100_000))},
	{"claude-2", claude3(4096).with(window(100_000))},
	{"claude-2-1", claude3(4096)},
	{"claude-v2", claude3(4096).with(window(100_000))},
	{"claude-v2:1", claude3(4096)},
	{"claude-3", claude3(4096)},
	{"claude-3-5", claude3(8192)},
	{"claude-3-7", claudeManual(64000).with(noStructuredOutput)},

	{"claude-opus-4", claudeManual(32000).with(noStructuredOutput)},
	{"claude-sonnet-4", claudeManual(64000).with(noStructuredOutput)},
	{"claude-opus-4-1", claudeManual(32000).with(notBoth)},
	{"claude-opus-4-5", claudeManual(64000).with(notBoth, efforts(claudeEfforts45))},
	{"claude-sonnet-4-5", claudeManual(64000).with(notBoth)},
	{"claude-haiku-4-5", claudeManual(64000).with(notBoth)},
	{"claude-opus-4-6", claude46},
	{"claude-sonnet-4-6", claude46},
	{"claude-mythos-preview", claude46.with(window(0))},

	{"claude-opus-4-7", claudeAdaptive().with(window(claudeLarge))},
	{"claude-opus-4-8", claudeAdaptive().with(midSystem, window(claudeLarge))},
	// What is between the known versions and 5 is like 4.8, but sources are silent
	// on system turns.
	{"claude-opus-4-9", claudeAdaptive()},
	{"claude-sonnet-4-7", claudeAdaptive()},
	{"claude-sonnet-4-8", claudeAdaptive()},

	{"claude-opus-5", claudeAdaptive().with(thinksByDefault, off(OffUpToHigh), midSystem, window(claudeLarge))},
	{"claude-opus-5-5", claudeAdaptive().with(thinksByDefault, off(OffRefused), forcedRefused, midSystem, window(claudeLarge))},
	{"claude-sonnet-5", sonnet5},
	{"claude-sonnet-5-5", sonnet55},
	{"claude-haiku-5-5", claudeAdaptive().with(thinksByDefault, off(OffUpToHigh), midSystem, window(claudeLarge))},
	// Amazon Bedrock's Sonnet 5 takes a forced call only if thinking is disabled.
	{"anthropic.claude-sonnet-5", sonnet5.with(forcedNotThinking)},
	{"anthropic.claude-sonnet-5-5", sonnet55},

	// Whatever comes behind 5.1 is taken for its like; a date, as in
	// claude-fable-5-20260303, is no version.
	{"claude-fable-5", claude5Always.with(window(claudeLarge))},
	{"claude-fable-5-", claude5Bound},
	{"claude-fable-5-1", claude5Bound.with(window(claudeLarge))},
	{"claude-fable-5-20", claude5Always.with(window(claudeLarge))},
	{"claude-mythos-5", claude5Always},
	{"claude-mythos-5-", claude5Bound},
	{"claude-mythos-5-20", claude5Always},

	{"claude-opus-", claudeLater},
	{"claude-sonnet-", claudeLater},
	{"claude-haiku-", claudeLater},
	{"claude-fable-", claude5Bound},
	{"claude-mythos-", claude5Bound},
}
