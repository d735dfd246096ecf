package gemini

import (
	"fmt"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/schema"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// Limits of a request. Those of contents and tools are reliability.md, S13; the
// others keep a small document from demanding much memory or time.
const (
	maxContents = 4096
	maxTools    = 1024
	maxBlocks   = 1 << 16
	maxCalls    = 4096 // in one answer
	maxStop     = 1024
	maxExtra    = 256
)

// DecodeRequest implements format.RequestCodec. The caller sets Model and Stream,
// which stand in the path.
func (GenerateContent) DecodeRequest(doc tape.Value) (*chat.Request, error) {
	if doc.Kind() != tape.Object {
		return nil, chat.Invalid("", "the request body must be a JSON object")
	}
	d := requestDecoder{r: &chat.Request{Format: origin, IncludeUsage: true}}
	d.r.Reasoning.Summary = "omitted"
	if err := d.request(doc); err != nil {
		return nil, err
	}
	return d.r, nil
}

// requestDecoder reads one request.
type requestDecoder struct {
	r        *chat.Request
	contents bool // there were some

	contentsDecoder
}

// request reads all fields.
func (d *requestDecoder) request(doc tape.Value) error {
	seen := map[string]bool{}
	for key, value := range doc.Members {
		field := string(canonical(key))
		if seen[field] {
			return twice(field)
		}
		if len(seen) == maxExtra {
			return chat.Invalid("", fmt.Sprintf("a request has at most %d fields", maxExtra))
		}
		seen[field] = true
		if !present(value) {
			continue
		}
		if err := d.field(field, value); err != nil {
			return err
		}
	}
	if !d.contents {
		return mustBe("contents", "an array with at least one content")
	}
	return nil
}

// field reads a field of the request.
func (d *requestDecoder) field(field string, v tape.Value) error {
	switch field {
	case "contents":
		return d.readContents(v)
	case "systemInstruction":
		return d.system(v)
	case "tools":
		return d.tools(v)
	case "toolConfig":
		return d.toolConfig(v)
	case "generationConfig":
		return d.generation(v)
	case "serviceTier":
		return d.serviceTier(v)
	case "model", "stream":
		// The path says it; some clients repeat it.
		return nil
	default:
		d.extra(field, v)
		return nil
	}
}

// extra keeps a field that has no neutral meaning, the first one of each path.
func (d *requestDecoder) extra(path string, v tape.Value) {
	if len(d.r.Extra) == maxExtra {
		return
	}
	path = format.Bounded(path, 96)
	for i := range d.r.Extra {
		if d.r.Extra[i].Name == path {
			return
		}
	}
	d.r.Extra = append(d.r.Extra, chat.Field{Name: path, Value: v.Raw()})
}

// mustBe is the error of a field that has a wrong value.
func mustBe(field, what string) *chat.Error {
	return chat.Invalid(field, "the field "+field+" must be "+what)
}

// twice is the error of a field that is repeated.
func twice(field string) *chat.Error {
	return chat.Invalid(format.Bounded(field, 96), "the field "+format.Bounded(field, 96)+" stands twice in the request")
}

// members calls f for the members of an object that are not null, by their names
// in camel case. A name that is repeated is refused.
func members(v tape.Value, path string, f func(word string, v tape.Value) error) error {
	if v.Kind() != tape.Object {
		return mustBe(path, "an object")
	}
	if v.Len() > maxExtra {
		return mustBe(path, fmt.Sprintf("an object of at most %d members", maxExtra))
	}
	var seen [8]string
	names := seen[:0]
	for key, value := range v.Members {
		word := string(canonical(key))
		for _, n := range names {
			if n == word {
				return twice(path + "." + word)
			}
		}
		names = append(names, word)
		if !present(value) {
			continue
		}
		if err := f(word, value); err != nil {
			return err
		}
	}
	return nil
}

// serviceTier reads how the provider is to treat the request.
func (d *requestDecoder) serviceTier(v tape.Value) error {
	switch strings.ToLower(v.Text()) {
	case "flex":
		d.r.ServiceTier = chat.Literal(`"flex"`)
	case "standard":
		d.r.ServiceTier = chat.Literal(`"default"`)
	case "priority":
		d.r.ServiceTier = chat.Literal(`"priority"`)
	case "unspecified", "":
	default:
		return mustBe("serviceTier", "flex, standard or priority")
	}
	return nil
}

// generation reads what shapes the answer.
func (d *requestDecoder) generation(v tape.Value) error {
	var mime, jsonSchema, ownSchema tape.Value
	err := members(v, "generationConfig", func(word string, v tape.Value) error {
		switch word {
		case "maxOutputTokens":
			// 0 is the default of protobuf: not set.
			if n, ok := v.Int(); !ok || n < 0 {
				return mustBe("generationConfig.maxOutputTokens", "a whole number of at least 1")
			} else if n > 0 {
				d.r.MaxTokens = chat.Number(v.Raw())
			}
			return nil
		case "temperature":
			return number(&d.r.Temperature, word, v)
		case "topP":
			return number(&d.r.TopP, word, v)
		case "topK":
			return number(&d.r.TopK, word, v)
		case "frequencyPenalty":
			return number(&d.r.FrequencyPenalty, word, v)
		case "presencePenalty":
			return number(&d.r.PresencePenalty, word, v)
		case "seed":
			return number(&d.r.Seed, word, v)
		case "candidateCount":
			return number(&d.r.N, word, v)
		case "logprobs":
			return number(&d.r.TopLogprobs, word, v)
		case "responseLogprobs":
			if v.Kind() != tape.True && v.Kind() != tape.False {
				return mustBe("generationConfig.responseLogprobs", "true or false")
			}
			d.r.Logprobs = chat.BoolOf(v.Bool())
			return nil
		case "stopSequences":
			return d.stop(v)
		case "thinkingConfig":
			return d.thinking(v)
		case "responseMimeType":
			mime = v
		case "responseJsonSchema":
			jsonSchema = v
		case "responseSchema":
			ownSchema = v
		case "responseModalities":
			if v.Len() == 1 && strings.EqualFold(string(v.Raw()), `["TEXT"]`) {
				return nil
			}
			d.extra("generationConfig.responseModalities", v)
		default:
			d.extra("generationConfig."+word, v)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return d.output(mime, jsonSchema, ownSchema)
}

// number reads a field of generationConfig that is a number.
func number(at *chat.Number, word string, v tape.Value) error {
	if v.Kind() != tape.Number {
		return mustBe("generationConfig."+word, "a number")
	}
	*at = chat.Number(v.Raw())
	return nil
}

// stop reads the stop sequences.
func (d *requestDecoder) stop(v tape.Value) error {
	const field = "generationConfig.stopSequences"
	if v.Kind() != tape.Array || v.Len() > maxStop {
		return mustBe(field, fmt.Sprintf("an array of at most %d strings", maxStop))
	}
	for element := range v.Elements {
		if element.Kind() != tape.String {
			return mustBe(field, "an array of strings")
		}
		d.r.Stop = append(d.r.Stop, element.Literal())
	}
	return nil
}

// thinking reads how much the model is to reason. That the client wants to see
// the thoughts, and nothing else, does not switch reasoning on.
func (d *requestDecoder) thinking(v tape.Value) error {
	const path = "generationConfig.thinkingConfig"
	r := &d.r.Reasoning
	return members(v, path, func(word string, v tape.Value) error {
		switch word {
		case "includeThoughts":
			if v.Bool() {
				r.Summary = "summarized"
			}
		case "thinkingBudget":
			n, ok := v.Int()
			switch {
			case !ok || n < -1:
				return mustBe(path+".thinkingBudget", "a whole number, or -1")
			case n == 0:
				r.State = chat.ReasoningOff
			default:
				r.State, r.Budget = chat.ReasoningOn, chat.Number(v.Raw())
			}
		case "thinkingLevel":
			switch level := strings.ToLower(v.Text()); level {
			case "minimal", "low", "medium", "high":
				r.State, r.Effort = chat.ReasoningOn, level
			case "thinking_level_unspecified":
			default:
				return mustBe(path+".thinkingLevel", "MINIMAL, LOW, MEDIUM or HIGH")
			}
		default:
			d.extra(path+"."+word, v)
		}
		return nil
	})
}

// output reads the form of the answer's text.
func (d *requestDecoder) output(mime, jsonSchema, ownSchema tape.Value) error {
	switch {
	case mime.Exists() && mime.Kind() != tape.String:
		return mustBe("generationConfig.responseMimeType", "a string")
	case mime.Is("application/json"), !mime.Exists() || mime.Is(""):
	case mime.Is("text/plain"):
		return nil
	default: // text/x.enum is one word without quotes: nothing like JSON.
		d.extra("generationConfig.responseMimeType", mime)
		if ownSchema.Exists() {
			d.extra("generationConfig.responseSchema", ownSchema)
		}
		return nil
	}
	out := &d.r.Output
	switch {
	case jsonSchema.Kind() == tape.Object:
		*out = chat.Output{Kind: chat.OutputJSONSchema, Schema: jsonSchema.Raw()}
	case jsonSchema.Exists():
		return mustBe("generationConfig.responseJsonSchema", "an object")
	case ownSchema.Exists():
		converted, err := standard("generationConfig.responseSchema", ownSchema)
		if err != nil {
			return err
		}
		*out = chat.Output{Kind: chat.OutputJSONSchema, Schema: converted}
	case mime.Is("application/json"):
		out.Kind = chat.OutputJSONObject
	}
	return nil
}

// standard returns the JSON Schema of one of Gemini's.
func standard(path string, v tape.Value) (chat.Raw, error) {
	if v.Kind() != tape.Object {
		return nil, mustBe(path, "an object")
	}
	out, err := schema.AppendJSON(nil, v)
	if err != nil {
		return nil, chat.Invalid(path, path+": "+err.Error())
	}
	return out, nil
}
