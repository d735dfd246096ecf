// Package format knows the wire formats: how a path is matched to a format and
// an operation, and what the codec of a format can do. It is pure translation:
// no Caddy, no network, no clock.
//
// A format's codec lives in the package of its vendor family (openai,
// anthropic) and registers itself here. Translation goes through the neutral
// form of package chat: N formats cost N codecs.
package format

import (
	"fmt"
	"net/http"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// ID names a wire format in configurations and logs.
type ID string

// The formats.
const (
	OpenAIChat        ID = "openai_chat"
	OpenAIResponses   ID = "openai_responses"
	AnthropicMessages ID = "anthropic_messages"
	Gemini            ID = "gemini"

	OpenAICompletions ID = "openai_completions"
	OpenAIEmbeddings  ID = "openai_embeddings"
	OpenAIImages      ID = "openai_images"
	OpenAIAudio       ID = "openai_audio"
	GeminiEmbeddings  ID = "gemini_embeddings"
	Rerank            ID = "rerank"
)

// Operation is what a client asks for.
type Operation string

// The operations.
const (
	OperationChat            Operation = "chat"
	OperationComplete        Operation = "complete"
	OperationEmbed           Operation = "embed"
	OperationCountTokens     Operation = "count_tokens"
	OperationImageGenerate   Operation = "image_generate"
	OperationImageEdit       Operation = "image_edit"
	OperationAudioSpeech     Operation = "audio_speech"
	OperationAudioTranscribe Operation = "audio_transcribe"
	OperationRerank          Operation = "rerank"
	OperationListModels      Operation = "list_models"
)

// Chat is the codec of a chat format. Its methods are safe for concurrent use;
// the stream coders it makes serve one stream each.
type Chat interface {
	RequestCodec
	ResponseCodec
	StreamCodec
	ErrorCodec
}

// RequestCodec translates requests.
type RequestCodec interface {
	// DecodeRequest reads a client's request. The result holds views into the
	// document. A request that cannot be valid is refused with a *chat.Error of
	// kind ErrInvalidRequest that names the field.
	DecodeRequest(doc tape.Value) (*chat.Request, error)
	// EncodeRequest writes r for the upstream to. It does not change r. What it
	// drops or changes is reported; what it cannot express without losing the
	// user's content is refused with a *chat.Error.
	EncodeRequest(b *Body, r *chat.Request, to chat.Target) (chat.Report, error)
}

// ResponseCodec translates complete answers.
type ResponseCodec interface {
	// InspectResponse checks that an answer has the format's shape and reads its
	// usage, without decoding it: the check of an answer that is passed through.
	// An error object in the body, or a body of another shape, is a *chat.Error.
	InspectResponse(doc tape.Value) (chat.Usage, error)
	// DecodeResponse reads an upstream's answer. An error object in the body, or
	// a body of another shape, is a *chat.Error.
	DecodeResponse(doc tape.Value) (*chat.Response, error)
	// EncodeResponse appends the answer for the client.
	EncodeResponse(dst []byte, r *chat.Response, x *chat.Exchange) ([]byte, chat.Report)
}

// StreamCodec translates streamed answers.
type StreamCodec interface {
	NewStreamDecoder() StreamDecoder
	NewStreamEncoder(x *chat.Exchange) StreamEncoder
	NewStreamWatcher() StreamWatcher
	// Heartbeat is an event that means nothing to the format's clients.
	Heartbeat() []byte
}

// ErrorCodec translates errors.
type ErrorCodec interface {
	// DecodeError makes sense of an upstream's answer with an error status.
	DecodeError(status int, header http.Header, body []byte) *chat.Error
	// EncodeError appends the error for the client and returns its status.
	EncodeError(dst []byte, e *chat.Error) (status int, body []byte)
}

// StreamDecoder turns an upstream's events into neutral ones.
type StreamDecoder interface {
	// Decode appends the neutral events that ev amounts to, often none or one.
	// They are valid until the next call. An event that is not JSON is an error
	// and breaks the stream; an error the upstream reports is an EventError.
	Decode(dst []chat.Event, ev sse.Event) ([]chat.Event, error)
	// Finish is told that the body has ended. It appends what was held back and
	// EventEnd if the stream was complete; ErrTruncated if it was not.
	Finish(dst []chat.Event) ([]chat.Event, error)
}

// StreamEncoder turns neutral events into the client's stream.
type StreamEncoder interface {
	// Encode appends the client's bytes for ev, often none. After an EventError
	// it appends that format's error event and never a mark of success.
	Encode(dst []byte, ev *chat.Event) []byte
}

// StreamWatcher follows a stream that is passed through in its own format.
type StreamWatcher interface {
	// Watch checks one event and says what it is. An error means that the event
	// is not of the format and breaks the stream.
	Watch(ev sse.Event) (Mark, error)
	// Err is the error of the event that Watch last marked as MarkError.
	Err() *chat.Error
	// Usage is what the stream has reported so far.
	Usage() chat.Usage
	// AppendError appends the error event that ends a broken stream.
	AppendError(dst []byte, e *chat.Error) []byte
	// Close says whether a stream that ends now is complete, and appends the end
	// mark if the upstream left out one that clients wait for.
	Close(dst []byte) ([]byte, error)
}

// Mark is what a passed-through event means for the relay.
type Mark uint8

// The marks.
const (
	// MarkNothing is a comment, a ping, an unknown event: it does not even end
	// a silence before the first content.
	MarkNothing Mark = iota
	// MarkPreamble is an event before any content, such as a role or a start.
	MarkPreamble
	// MarkContent carries something a user would see, or a tool call.
	MarkContent
	// MarkComplete says that the answer is complete, though more may follow.
	MarkComplete
	// MarkEnd is the last event of the format.
	MarkEnd
	// MarkError is an error the upstream reports; Err tells it.
	MarkError
)

// ErrTruncated means that a stream ended without its end mark.
var ErrTruncated = &chat.Error{
	Kind:    chat.ErrBadUpstream,
	Code:    "stream_interrupted",
	Message: "the upstream's stream ended before the answer was complete",
}

// ErrNotJSON means that an event of a stream, which breaks it, is not JSON.
var ErrNotJSON = &chat.Error{
	Kind:    chat.ErrBadUpstream,
	Code:    ErrTruncated.Code,
	Message: "an event of the upstream's stream is not JSON",
}

// Family returns the chat format whose clients speak the format id, too: errors
// are told in its shape. A chat format is its own family.
func Family(id ID) ID {
	switch id {
	case OpenAIEmbeddings, OpenAIImages, OpenAIAudio, Rerank:
		return OpenAIChat
	case GeminiEmbeddings:
		return Gemini
	default:
		return id
	}
}

var chats = map[ID]Chat{}

// RegisterChat makes a codec known. It is called from init functions and panics
// on a repeated id.
func RegisterChat(id ID, codec Chat) {
	if _, ok := chats[id]; ok {
		panic(fmt.Sprintf("format %s is registered twice", id))
	}
	chats[id] = codec
}

// ChatOf returns the codec of a chat format.
func ChatOf(id ID) (Chat, bool) {
	c, ok := chats[id]
	return c, ok
}
