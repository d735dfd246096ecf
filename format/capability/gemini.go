package capability

// gemini is the table of Google's models. Sources: the model pages and the guides
// on thinking, thought signatures and function calling of ai.google.dev; the
// levels of 3 Flash, 3.1 and 3.5 Flash: the "Developer's guide to Gemini 3.5
// Flash" of docs.cloud.google.com; as of November 2026. Context windows: the input
// token limit of the page of 2.0 Flash, a release note for 3.8, and common knowledge
// for the others; only for models that write text.
//
// A row of a generation stands for all of its models; rows below it name those
// that differ. Names without a number ("gemini-flash-latest") are the newest
// model of their kind, but get the benefit of the doubt where that one refuses
// something.
var gemini = []entry{
	{"gemini-", geminiLevels(anyLevel)},
	{"gemini-pro-latest", geminiAlwaysThinks(geminiLevels(Low | Medium | High))},

	{"gemini-1", Model{Thinking: ThinkingNone, MaxOutput: 8192}},
	{"gemini-1.5-pro", Model{Thinking: ThinkingNone, MaxOutput: 8192, ContextWindow: 2 * geminiWindow}},
	{"gemini-1.5-flash", Model{Thinking: ThinkingNone, MaxOutput: 8192, ContextWindow: geminiWindow}},
	{"gemini-2.0", Model{Thinking: ThinkingNone, MaxOutput: 8192}},
	{"gemini-2.0-flash", Model{Thinking: ThinkingNone, MaxOutput: 8192, ContextWindow: geminiWindow}},
	{"gemini-2.0-flash-preview-image", Model{Thinking: ThinkingNone, MaxOutput: 8192}},

	{"gemini-2.5", geminiBudget(0, 24576)},
	{"gemini-2.5-flash", geminiBudget(0, 24576).with(window(geminiWindow))},
	{"gemini-2.5-pro", geminiAlwaysThinks(geminiBudget(128, 32768)).with(window(geminiWindow))},
	{"gemini-2.5-flash-lite", geminiQuiet(geminiBudget(512, 24576)).with(window(geminiWindow))},
	// Makes pictures and does not think. How much it can say is not known here.
	{"gemini-2.5-flash-image", Model{Thinking: ThinkingNone}},

	{"gemini-3", geminiLevels(anyLevel)},
	{"gemini-3-flash", geminiLevels(anyLevel).with(window(geminiWindow))},
	{"gemini-3-pro", geminiAlwaysThinks(geminiLevels(Low | High)).with(window(geminiWindow))},
	{"gemini-3-pro-image", geminiAlwaysThinks(geminiLevels(Low | High))},
	{"gemini-3.1-pro", geminiAlwaysThinks(geminiLevels(Low | Medium | High)).with(window(geminiWindow))},
	{"gemini-3.5-pro", geminiAlwaysThinks(geminiLevels(Low | Medium | High))},
	{"gemini-3.5-flash-lite", geminiFixed(geminiLevels(anyLevel))},

	// From 3.6 on, whatever comes: the levels are those of the model's kind before
	// it, and only those that all kinds have where nothing is known of a generation.
	{"gemini-3.6", geminiFixed(geminiLevels(anyLevel))},
	{"gemini-3.7", geminiFixed(geminiLevels(anyLevel))},
	{"gemini-3.8", geminiFixed(geminiLevels(anyLevel))},
	{"gemini-3.9", geminiFixed(geminiLevels(anyLevel))},
	{"gemini-3.8-flash", geminiFixed(geminiLevels(anyLevel)).with(window(geminiWindow))},
	{"gemini-3.6-pro", geminiFixed(geminiAlwaysThinks(geminiLevels(Low | Medium | High)))},
	{"gemini-3.7-pro", geminiFixed(geminiAlwaysThinks(geminiLevels(Low | Medium | High)))},
	{"gemini-3.8-pro", geminiFixed(geminiAlwaysThinks(geminiLevels(Low | Medium | High)))},
	{"gemini-3.9-pro", geminiFixed(geminiAlwaysThinks(geminiLevels(Low | Medium | High)))},
	{"gemini-4", geminiFixed(geminiLevels(Low | Medium | High))},
	{"gemini-5", geminiFixed(geminiLevels(Low | Medium | High))},
	{"gemini-6", geminiFixed(geminiLevels(Low | Medium | High))},
}

// anyLevel are all levels that thinkingLevel has.
const anyLevel = Minimal | Low | Medium | High

// geminiWindow is how many tokens most of the models take.
const geminiWindow = 1 << 20

// geminiMaxOutput is how many tokens an answer has at most from 2.5 on.
const geminiMaxOutput = 65536

// geminiBudget is a model whose thinking has a budget of tokens: Gemini 2.5.
func geminiBudget(least, most int) Model {
	return Model{ThinksByDefault: true, BudgetMin: least, BudgetMax: most, MaxOutput: geminiMaxOutput}
}

// geminiLevels is a model whose thinking has levels: Gemini 3 and later. Such
// models sign their calls and demand the signatures back, and take images in the
// results of functions.
func geminiLevels(levels Efforts) Model {
	return Model{
		ThinksByDefault: true,
		ThinkingLevel:   true,
		Efforts:         levels,
		ResultParts:     true,
		CallSignatures:  true,
		MaxOutput:       geminiMaxOutput,
	}
}

// geminiAlwaysThinks is m if its thinking cannot be switched off.
func geminiAlwaysThinks(m Model) Model {
	m.NoBudgetZero = true
	return m
}

// geminiQuiet is m if it thinks only when it is asked to.
func geminiQuiet(m Model) Model {
	m.ThinksByDefault = false
	return m
}

// geminiFixed is m if it ignores or refuses the parameters of sampling, refuses
// penalties, and refuses a conversation that ends with its own turn: Gemini 3.5
// Flash-Lite, 3.6 and later.
func geminiFixed(m Model) Model {
	m.Sampling, m.NoPenalties, m.NoPrefill = SamplingNone, true, true
	return m
}
