package caddytest

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// The matrix speaks of requests and answers in words of its own, which are those
// of no format: each format is a speaker that says them and understands them.

// talk is a request.
type talk struct {
	model  string
	stream bool
	system string
	turns  []turn
	// tools are the names of functions that take a city.
	tools []string
	// custom are the names of tools that take free text, spaced those of functions in
	// the namespace notes.
	custom, spaced []string
	// search offers the server's own search of the web.
	search bool
	// marked puts cache marks behind the system prompt and the last turn.
	marked bool
	// force is the function that must be called.
	force string
	// schema is the JSON Schema of the answer.
	schema string
	// limit is the most tokens of the answer.
	limit  int
	effort string
	// members is an object whose members the request has too, also those of objects
	// in it.
	members string
	// extra are more members of the request, as they are written.
	extra string
}

// turn is what one side says. raw is the turn in the client's own format: what
// an answer held, to be sent back as it was.
type turn struct {
	assistant, system bool
	parts             []part
	raw               string
}

// part is a piece of a turn.
type part struct {
	kind partKind
	// text is the text, the thinking, or the text of a result.
	text string
	// mime and data are those of an image, a document or sound.
	mime, data string
	// url is the address of an image in place of its data.
	url string
	// id, name and arguments are those of a call; a result has its id and name.
	id, name, arguments string
	// custom marks a call with free text, which is in arguments, and its result;
	// namespace is that of the called function.
	custom    bool
	namespace string
	// failed marks the result of a tool that failed.
	failed bool
	// signature is the signature of a thinking or of a call.
	signature string
	// image is the picture in a result, as base64; always a PNG.
	image string
}

// partKind says what a part is.
type partKind string

const (
	partText     partKind = "text"
	partImage    partKind = "image"
	partDocument partKind = "document"
	partAudio    partKind = "audio"
	partThinking partKind = "thinking"
	partCall     partKind = "call"
	partResult   partKind = "result"
)

// says is a turn of the user.
func says(text string) turn { return turn{parts: []part{{kind: partText, text: text}}} }

// answers is a turn of the assistant.
func answers(text string) turn {
	return turn{assistant: true, parts: []part{{kind: partText, text: text}}}
}

// reply is an answer as the client's SDK would collect it.
type reply struct {
	text, thinking, refusal string
	calls                   []part
	stop                    stopWord
	usage                   provider.Usage
	// sources are the pages that the text comes from, weights its tokens with their
	// probabilities.
	sources, weights []string
	// counted says that there was a usage at all.
	counted bool
	// history is the answer as a turn to be sent back.
	history turn
	// ended says that a stream has its mark of success; failure is the message of
	// its error event.
	ended   bool
	failure string
}

// stopWord says why the model stopped.
type stopWord string

const (
	stopEnd      stopWord = "end"
	stopCalls    stopWord = "calls"
	stopLimit    stopWord = "limit"
	stopFiltered stopWord = "filtered"
)

// refusal is an answer with an error status.
type refusal struct {
	// kind is the format's word for the error: its type or its status.
	kind, message string
}

// speaker is a format, as a client says it and as an upstream understands it.
type speaker interface {
	// path is where a request is sent.
	path(t talk) string
	// say writes the request.
	say(t talk) string
	// understand reads a request as the vendor's server would.
	understand(body []byte) talk
	// answer reads a plain answer.
	answer(body string) (reply, error)
	// listen reads a stream, and checks the order of its events.
	listen(body string) (reply, error)
	// refused reads an error.
	refused(body string) (refusal, error)
}

// formatSpeaker is a speaker with the name of its format and its title in tables.
type formatSpeaker struct {
	id, title string
	speaker
}

// speakers are the formats, in the order of the tables.
var speakers = []formatSpeaker{
	{"openai_chat", "Chat", chatSpeaker{}},
	{"openai_responses", "Responses", responsesSpeaker{}},
	{"anthropic_messages", "Messages", messagesSpeaker{}},
	{"gemini", "Gemini", geminiSpeaker{}},
}

// object is a JSON object to be written.
type object = map[string]any

// written writes a request with its extra members.
func written(o object, t talk) string {
	if t.members != "" {
		var members object
		if err := json.Unmarshal([]byte(t.members), &members); err != nil {
			panic(err) // the members are written by hand
		}
		merge(o, members)
	}
	raw, err := json.Marshal(o)
	if err != nil {
		panic(err) // the objects are made of strings and numbers
	}
	if t.extra == "" {
		return string(raw)
	}
	return strings.TrimSuffix(string(raw), "}") + "," + t.extra + "}"
}

// merge adds the members of an object to another one.
func merge(into, from object) {
	for name, value := range from {
		inner, ok := value.(object)
		outer, both := into[name].(object)
		if ok && both {
			merge(outer, inner)
			continue
		}
		into[name] = value
	}
}

// citySchema is the schema of what every function takes.
var citySchema = object{
	"type":                 "object",
	"properties":           object{"city": object{"type": "string"}},
	"required":             []string{"city"},
	"additionalProperties": false,
}

// elementsOf are the elements of a raw array, or the value itself.
func elementsOf(raw string) []any {
	var all []json.RawMessage
	if json.Unmarshal([]byte(raw), &all) != nil {
		return []any{json.RawMessage(raw)}
	}
	out := make([]any, len(all))
	for i := range all {
		out[i] = all[i]
	}
	return out
}

// streamEvent is an event of a stream: its name and its data.
type streamEvent struct{ name, data string }

// splitEvents splits a stream that has one data line in each event. Comments are
// left out; anything else is an error.
func splitEvents(body string) ([]streamEvent, error) {
	if !strings.HasSuffix(body, "\n\n") {
		return nil, fmt.Errorf("the stream does not end with a blank line: %q", body)
	}
	var out []streamEvent
	for block := range strings.SplitSeq(strings.TrimSuffix(body, "\n\n"), "\n\n") {
		var ev streamEvent
		for line := range strings.SplitSeq(block, "\n") {
			switch field, value, _ := strings.Cut(line, ":"); field {
			case "event":
				ev.name = strings.TrimPrefix(value, " ")
			case "data":
				ev.data += strings.TrimPrefix(value, " ")
			case "":
			default:
				return nil, fmt.Errorf("a line of the stream is %q", line)
			}
		}
		if ev.data == "" {
			continue
		}
		if ev.data != "[DONE]" && !json.Valid([]byte(ev.data)) {
			return nil, fmt.Errorf("an event is not JSON: %s", ev.data)
		}
		out = append(out, ev)
	}
	return out, nil
}
