package chat

// BlockKind tells what a block holds.
type BlockKind uint8

// The kinds of blocks, with the fields of [Block] that each uses.
const (
	// Text uses Text.
	Text BlockKind = iota
	// Image uses Source and Detail.
	Image
	// Document uses Source, Title and Filename.
	Document
	// Audio uses Source.
	Audio
	// Video uses Source.
	Video
	// Thinking uses Text, Signature and Origin.
	Thinking
	// RedactedThinking uses Text (the sealed data) and Origin.
	RedactedThinking
	// ToolUse uses ID, Name, Arguments and Signature.
	ToolUse
	// ToolResult uses ID (of the call), Name, Content and IsError.
	ToolResult
	// Refusal uses Text.
	Refusal
	// Opaque uses Raw and Type: a block of the client's own format that has no
	// neutral meaning (server tools and their results, for instance).
	Opaque
)

// kindNames are the kinds of blocks as messages and reports call them.
var kindNames = [...]string{
	Text: "text", Image: "image", Document: "document", Audio: "audio", Video: "video",
	Thinking: "thinking", RedactedThinking: "redacted_thinking", ToolUse: "tool_use",
	ToolResult: "tool_result", Refusal: "refusal", Opaque: "unknown",
}

// String is the name of the kind, as messages and reports call it; empty for a
// kind that does not exist.
func (k BlockKind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return ""
}

// Block is a piece of a turn or of an answer. Which fields are used depends on
// Kind.
type Block struct {
	Kind BlockKind
	// Text is the text, the thinking, the refusal.
	Text Literal
	// ID is the id of a tool call, also in the call's result.
	ID Literal
	// Name is the name of a tool.
	Name Literal
	// Arguments of a tool call.
	Arguments Arguments
	// Content of a tool result: text, images and documents.
	Content []Block
	// IsError marks the result of a tool that failed.
	IsError bool
	// Source of an image, document, audio or video.
	Source Source
	// Detail of an image as OpenAI names it: auto, low, high.
	Detail Literal
	// Title and Filename of a document.
	Title, Filename Literal
	// Signature proves the origin of thinking, or of a tool call.
	Signature Literal
	// Origin is the format that made Signature or the sealed data.
	Origin string
	// Cache is the cache mark of the client's format, as it was.
	Cache Raw
	// Citations say where a text comes from.
	Citations []Citation
	// Logprobs are the probabilities of a text's tokens, as OpenAI's formats list
	// them: a raw array.
	Logprobs Raw
	// Type is the type name of an opaque block in its own format.
	Type string
	// Raw is an opaque block as it was.
	Raw Raw
}

// TypeName is how messages and reports call the block: by its kind, or by its type
// in its own format if it is opaque.
func (b *Block) TypeName() string {
	if b.Kind == Opaque {
		return b.Type
	}
	return b.Kind.String()
}

// Citation is a place that a text, or a part of it, is taken from.
type Citation struct {
	// URL and Title of a page; nil if the place is none.
	URL, Title Literal
	// Quote is the cited text of that place; nil if unsaid.
	Quote Literal
	// Start and End bound the part of the answer's text that the citation is
	// about, in characters; both 0 if unsaid.
	Start, End int
	// Raw is the citation as it was, in the format named by Origin.
	Raw    Raw
	Origin string
}

// SourceKind tells where the bytes of an image or document are.
type SourceKind uint8

// The kinds of sources.
const (
	// SourceNone is the zero value: no source.
	SourceNone SourceKind = iota
	// SourceURL uses Data as the address.
	SourceURL
	// SourceBase64 uses MediaType and Data (base64 text).
	SourceBase64
	// SourceText uses MediaType and Data (plain text).
	SourceText
	// SourceFile uses Data as a file id of the provider named by Origin.
	SourceFile
)

// Source says where the bytes of an image, document, audio or video are.
type Source struct {
	Kind SourceKind
	// MediaType is a MIME type such as image/png; empty when unknown.
	MediaType string
	// Data is the address, the base64 text, the plain text or the file id. For
	// base64 it is the text between the quotes and holds no escapes, so that a
	// span of megabytes stays a reference.
	Data []byte
	// Origin names the format whose provider knows the file id.
	Origin string
}
